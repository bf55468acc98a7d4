// Customers are told by a real mail server, which does not always take what it gets.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { OrderEventSchema } from "#gen/shop/events/v1/order_event_pb.js";
import { PaymentEventSchema } from "#gen/shop/events/v1/payment_event_pb.js";
import { NotificationKind, NotificationStatus } from "#gen/shop/notifications/v1/notification_pb.js";
import { OrderShipmentStatus } from "#gen/shop/orders/v1/order_pb.js";
import { newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import { parcel, type Running, World } from "./world.ts";

let world: World;
before(async () => {
  world = await World.open();
});
after(() => world?.[Symbol.asyncDispose]());

describe("a customer is told", () => {
  let running: Running;
  beforeEach(async () => {
    world.mailbox.behaviour = {};
    running = await world.start();
  });
  afterEach(() => running[Symbol.asyncDispose]());

  const confirm = (orderId: string) =>
    world.tell({ type: "shop.orders.order.confirmed.v1", schema: OrderEventSchema, data: { orderId } });
  const only = async (orderId: string) => {
    const { notifications } = await running.client.listNotifications({ orderId });
    assert.equal(notifications.length, 1);
    return notifications[0];
  };

  it("that the order is confirmed, by one mail to the address of the order and to nobody else", async () => {
    const order = world.orders.add();
    await confirm(order.orderId);
    await until(() => world.mailsOf(order).length > 0, "the mail");
    const [mail] = world.mailsOf(order);
    assert.deepEqual(mail?.recipients, ["ada@example.com"]);
    assert.deepEqual(mail?.to, [{ name: "Ada Lovelace", address: "ada@example.com" }]);
    assert.equal(mail?.from, "orders@shop.example");
    assert.equal(mail?.subject, `Your order ${order.orderId} is confirmed`);
    assert.match(mail?.text ?? "", /^Hello Ada Lovelace,\n\n.*1 December 2026.*€1,234\.56/);
    assert.match(mail?.html ?? "", /<li>2 × espresso-beans-1kg<\/li>/);
    assert.equal(mail?.headers["auto-submitted"], "auto-generated");
    assert.equal(mail?.headers["content-language"], "en");
    await until(async () => (await only(order.orderId))?.status === NotificationStatus.SENT, "it is noted");
    const sent = await only(order.orderId);
    assert.equal(mail?.messageId, `<${sent?.notificationId}@shop.example>`);
    assert.deepEqual([sent?.kind, sent?.attempts, sent?.reason], [NotificationKind.ORDER_CONFIRMED, 1, ""]);
  });

  it("of what becomes of the order, in the customer's language and in the order in which it happens", async () => {
    const [berlin, hamburg] = [parcel("berlin"), parcel("hamburg", OrderShipmentStatus.PLANNED)];
    const shippingAddress = { recipient: "Ada", lines: ["Weg 1"], city: "Berlin", country: "DE" };
    const order = world.orders.add({ shippingAddress, shipments: [berlin, hamburg] });
    const { orderId } = order;
    const changed = () =>
      world.tell({ type: "shop.orders.order.parcels_changed.v1", schema: OrderEventSchema, data: { orderId } });
    await confirm(orderId);
    await changed();
    await until(() => world.mailsOf(order).length === 2, "it is confirmed, and a parcel has left");
    Object.assign(order.shipments[0] ?? {}, { status: OrderShipmentStatus.DELIVERED });
    Object.assign(order.shipments[1] ?? {}, { status: OrderShipmentStatus.SHIPPED });
    await changed();
    await changed();
    const refund = { orderId, operationId: newId(), amount: { currency: "EUR", amount: 990n } };
    await world.tell({ type: "shop.payments.payment.refunded.v1", schema: PaymentEventSchema, data: refund });
    await until(() => world.mailsOf(order).length === 5, "all of it is told");
    assert.deepEqual(
      world.mailsOf(order).map(({ subject }) => subject.replace(orderId, "…").replace(/\s/g, " ")),
      [
        "Ihre Bestellung … ist bestätigt",
        "Ein Paket Ihrer Bestellung … ist unterwegs",
        "Ein Paket Ihrer Bestellung … ist angekommen",
        "Ein Paket Ihrer Bestellung … ist unterwegs",
        "Wir haben 9,90 € für Ihre Bestellung … zurückgezahlt",
      ],
    );
    assert.match(world.mailsOf(order)[1]?.text ?? "", /Sendungsnummer ist TRACK-berlin/);
  });

  it("after a while, when the server does not take the mail now, and once", async () => {
    const order = world.orders.add();
    let refused = 0;
    world.mailbox.behaviour = {
      recipient: () => {
        refused += 1;
        return refused <= 3 ? { code: 451, says: "greylisted" } : undefined;
      },
    };
    await confirm(order.orderId);
    await until(() => world.mailsOf(order).length === 1, "the mail");
    await until(async () => (await only(order.orderId))?.status === NotificationStatus.SENT, "it is noted");
    assert.equal((await only(order.orderId))?.attempts, 4);
    assert.equal(world.mailsOf(order).length, 1);
  });

  it("no more, when the server never takes it; an operator may have it sent again", async () => {
    const order = world.orders.add();
    world.mailbox.behaviour = {
      recipient: (address) => ({ code: 550, says: `5.1.1 <${address}>: there is nobody` }),
    };
    await confirm(order.orderId);
    await until(async () => (await only(order.orderId))?.status === NotificationStatus.FAILED, "it has failed");
    const failed = await only(order.orderId);
    assert.deepEqual([failed?.attempts, failed?.reason], [1, "smtp 550 5.1.1"]);
    assert.ok(!running.log().includes("ada@example.com"));
    const other = world.orders.add();
    world.mailbox.behaviour = {};
    await confirm(other.orderId);
    await until(() => world.mailsOf(other).length === 1, "others are told meanwhile");
    const ids = { notificationIds: [failed?.notificationId ?? "", newId()] };
    const { notifications } = await running.client.retryNotifications(ids);
    assert.deepEqual(
      notifications.map(({ notificationId, status }) => [notificationId, status]),
      [[failed?.notificationId, NotificationStatus.PENDING]],
    );
    await until(() => world.mailsOf(order).length === 1, "the mail");
    await until(async () => (await only(order.orderId))?.status === NotificationStatus.SENT, "it is noted");
    assert.deepEqual((await running.client.retryNotifications(ids)).notifications, []);
    const [audited] = await world.test.database.query(
      "select action, subject from audit_event where action = 'notification.retried'",
    );
    assert.deepEqual(audited, { action: "notification.retried", subject: failed?.notificationId });
  });

  it("when the mail server is there again, whatever came meanwhile", async () => {
    await world.mailbox.close();
    const orders = Array.from({ length: 20 }, () => world.orders.add());
    for (const { orderId } of orders) await confirm(orderId);
    const list = async () =>
      (await running.client.listNotifications({ status: NotificationStatus.PENDING })).notifications;
    await until(async () => (await list()).length === orders.length, "all wait");
    await until(async () => (await list()).some(({ reason }) => reason !== ""), "some were tried");
    await world.mailbox.open();
    const all = () => orders.every((order) => world.mailsOf(order).length === 1);
    await until(all, "each is told once", { deadlineMs: 40_000 });
  });

  it("twice at most, by the same Message-ID, when the server says nothing after it has taken the mail", async () => {
    const order = world.orders.add();
    let lost = 0;
    world.mailbox.behaviour = {
      losesAnswer: ({ subject }) => {
        if (subject.includes(order.orderId)) lost += 1;
        return lost === 1;
      },
    };
    await confirm(order.orderId);
    await until(async () => (await only(order.orderId))?.status === NotificationStatus.SENT, "it is noted");
    const ids = world.mailsOf(order).map(({ messageId }) => messageId);
    assert.equal(ids.length, 2);
    assert.equal(new Set(ids).size, 1);
  });

  it("when orders is there again", async () => {
    const order = world.orders.add();
    world.orders.isAway = true;
    await confirm(order.orderId);
    await until(() => running.log().includes("deciding who is told failed"), "it is away");
    world.orders.isAway = false;
    await until(() => world.mailsOf(order).length === 1, "the mail");
  });

  it("whatever cannot be said of another order", async () => {
    const broken = world.orders.add({ total: { currency: "no currency", amount: 1n } });
    const other = world.orders.add();
    await confirm(broken.orderId);
    await until(async () => (await only(broken.orderId))?.reason === "cannot_be_said", "it was tried");
    await confirm(other.orderId);
    await until(() => world.mailsOf(other).length === 1, "the other one is told");
    Object.assign(broken.total ?? {}, { currency: "EUR" });
    await until(() => world.mailsOf(broken).length === 1, "it is told, too, when it can be said");
  });

  it("nothing by an order that is gone, without an address, or that waits for stock no more", async () => {
    const gone = world.orders.add();
    const nobody = world.orders.add({ contact: { email: "" } });
    const served = world.orders.add();
    const evil = world.orders.add({ contact: { email: "ada@example.com\r\nBcc: evil@example.com" } });
    world.mailbox.behaviour = { recipient: () => ({ code: 451, says: "later" }) };
    await confirm(gone.orderId);
    await until(async () => (await only(gone.orderId))?.reason === "smtp 451", "it was tried");
    world.orders.remove(gone.orderId);
    await confirm(nobody.orderId);
    await confirm(evil.orderId);
    await world.tell({
      type: "shop.inventory.stock.awaited.v1",
      schema: (await import("#gen/shop/events/v1/stock_event_pb.js")).StockEventSchema,
      data: { orderId: served.orderId },
    });
    const cases = [
      [gone, NotificationStatus.SKIPPED, "order_gone"],
      [nobody, NotificationStatus.SKIPPED, "nobody_to_tell"],
      [served, NotificationStatus.SKIPPED, "over"],
      [evil, NotificationStatus.FAILED, "no_mail_address"],
    ] as const;
    for (const [{ orderId }, status, reason] of cases) {
      await until(async () => (await only(orderId))?.status === status, reason);
      assert.equal((await only(orderId))?.reason, reason);
    }
    assert.ok(world.mailbox.mails.every(({ recipients }) => !recipients.join().includes("evil")));
  });
});

it("is given up when its time is over, and said to be", async () => {
  world.mailbox.behaviour = { recipient: () => ({ code: 451, says: "later" }) };
  await using running = await world.start({ NOTIFICATION_BUDGET_MS: "1000" });
  const { orderId } = world.orders.add();
  await world.tell({ type: "shop.orders.order.confirmed.v1", schema: OrderEventSchema, data: { orderId } });
  const failed = async () => {
    const { notifications } = await running.client.listNotifications({ orderId, status: NotificationStatus.FAILED });
    return notifications[0];
  };
  const { reason, attempts } = await until(failed, "it has failed");
  assert.equal(reason, "smtp 451");
  assert.ok(attempts > 1);
  assert.match(running.log(), /a customer is not told: no more attempts/);
  world.mailbox.behaviour = {};
});
