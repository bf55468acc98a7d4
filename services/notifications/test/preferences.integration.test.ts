import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CustomerEventSchema, PersonEventSchema } from "#gen/shop/events/v1/customer_event_pb.js";
import { OrderEventSchema } from "#gen/shop/events/v1/order_event_pb.js";
import {
  NotificationKind,
  NotificationLanguage,
  NotificationStatus,
} from "#gen/shop/notifications/v1/notification_pb.js";
import type { Order } from "#gen/shop/orders/v1/order_pb.js";
import { newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import { reasonOf } from "../../identity/test/harness.ts";
import { parcel, type Running, World } from "./world.ts";

const { ORDER_CONFIRMED, PARCEL_SHIPPED, PARCEL_DELIVERED, PAYMENT_REFUNDED } = NotificationKind;
let world: World;
let running: Running;
before(async () => {
  world = await World.open();
  running = await world.start();
});
after(async () => {
  await running?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

const tell = ({ orderId }: Order, type: "confirmed" | "shipped") =>
  world.tell({ type: `shop.orders.order.${type}.v1`, schema: OrderEventSchema, data: { orderId } });

test("who has said nothing is told of all, in the language of the country", async () => {
  const customerId = newId();
  const { preferences } = await running.client.getPreferences({ customerId });
  assert.deepEqual(
    [preferences?.customerId, preferences?.language, preferences?.mutedKinds],
    [customerId, NotificationLanguage.UNSPECIFIED, []],
  );
});

test("who does not want to be told of parcels is not, but of what has to be told; and in the language that is wanted", async () => {
  const order = world.orders.add({ shipments: [parcel("berlin")] });
  const { customerId } = order;
  const wanted = { customerId, language: NotificationLanguage.GERMAN, mutedKinds: [PARCEL_SHIPPED, PARCEL_DELIVERED] };
  const { preferences } = await running.client.setPreferences(wanted);
  assert.deepEqual((await running.client.getPreferences({ customerId })).preferences, preferences);
  assert.deepEqual([preferences?.language, preferences?.mutedKinds.length], [NotificationLanguage.GERMAN, 2]);
  await tell(order, "shipped");
  await tell(order, "confirmed");
  await until(() => world.mailsOf(order).length === 1, "it is told");
  assert.match(world.mailsOf(order)[0]?.subject ?? "", /^Ihre Bestellung .* ist bestätigt$/);
  const { notifications } = await running.client.listNotifications({ customerId });
  const outcomes = notifications.map(({ kind, status, reason }) => [kind, status, reason]);
  assert.deepEqual(
    outcomes.find(([kind]) => kind === PARCEL_SHIPPED),
    [PARCEL_SHIPPED, NotificationStatus.SKIPPED, "muted"],
  );
});

test("what has to be told cannot be muted", async () => {
  for (const kind of [ORDER_CONFIRMED, PAYMENT_REFUNDED, NotificationKind.UNSPECIFIED, 99 as NotificationKind]) {
    const call = running.client.setPreferences({ customerId: newId(), mutedKinds: [kind] });
    await assert.rejects(call, /muted_kinds/);
  }
});

test("preferences are written down once, and a repetition says nothing new", async () => {
  const customerId = newId();
  const wanted = { customerId, mutedKinds: [PARCEL_SHIPPED, PARCEL_SHIPPED] };
  for (let time = 0; time < 3; time += 1) await running.client.setPreferences(wanted);
  const rows = await world.test.database.query("select action, details from audit_event where subject = $1", [
    customerId,
  ]);
  const details = { language: "by_country", muted: "parcel_shipped" };
  assert.deepEqual(rows, [{ action: "preferences.set", details }]);
});

for (const [what, type, schema, field] of [
  ["customer", "shop.orders.customer.erased.v1", CustomerEventSchema, "customerId"],
  ["person", "shop.identity.person.erased.v1", PersonEventSchema, "personId"],
] as const) {
  test(`a ${what} that is erased is told nothing any more, and nothing of it is kept but its id`, async () => {
    const order = world.orders.add();
    const { customerId } = order;
    await running.client.setPreferences({ customerId, language: NotificationLanguage.GERMAN });
    await tell(order, "confirmed");
    await until(() => world.mailsOf(order).length === 1, "it is told");
    await world.tell({ type, schema, data: { [field]: customerId } } as Parameters<World["tell"]>[0]);
    const refused = () => reasonOf(running.client.setPreferences({ customerId }));
    await until(async () => (await refused()) === "CUSTOMER_ERASED", "it is forgotten");
    assert.deepEqual((await running.client.listNotifications({ customerId })).notifications, []);
    const { preferences } = await running.client.getPreferences({ customerId });
    assert.equal(preferences?.language, NotificationLanguage.UNSPECIFIED);
    // What was told twice, or is heard afterwards, with nothing behind it that would take it away again.
    await world.tell({ type, schema, data: { [field]: customerId } } as Parameters<World["tell"]>[0]);
    Object.assign(order, { shipments: [parcel("berlin")] });
    await tell(order, "shipped");
    const other = world.orders.add();
    await tell(other, "confirmed");
    await until(() => world.mailsOf(other).length === 1, "another one is told");
    const open = () => world.test.database.query("select from inbox_event where plan_time is null");
    await until(async () => (await open()).length === 0, "everything that was heard is decided");
    assert.equal(world.mailsOf(order).length, 1);
    assert.deepEqual((await running.client.listNotifications({ customerId })).notifications, []);
    const rows = await world.test.database.query(
      "select from audit_event where action = 'recipient.erased' and subject = $1",
      [customerId],
    );
    assert.equal(rows.length, 1);
  });
}

test("lists are read page by page, the newest first", async () => {
  const customerId = newId();
  const orders = Array.from({ length: 5 }, () => world.orders.add({ customerId }));
  for (const order of orders) await tell(order, "confirmed");
  await until(async () => (await running.client.listNotifications({ customerId })).notifications.length === 5, "all");
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await running.client.listNotifications({ customerId, pageSize: 2, pageToken });
    seen.push(...page.notifications.map(({ notificationId }) => notificationId));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  assert.equal(new Set(seen).size, 5);
  assert.deepEqual(seen, seen.toSorted().reverse());
});
