// What is heard by a real NATS: each event once, whatever comes twice, in another order, late, or broken.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Registry } from "prom-client";
import { OrderEventSchema } from "#gen/shop/events/v1/order_event_pb.js";
import { PaymentEventSchema } from "#gen/shop/events/v1/payment_event_pb.js";
import { type Order, OrderShipmentStatus } from "#gen/shop/orders/v1/order_pb.js";
import { EventReader } from "#platform/events/event-reader.ts";
import { newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import { until } from "#testing/until.ts";
import { eventTables } from "../../../dev/structure/events-page.ts";
import { type HeardEvent, heardTypes, isHeard, readEvent } from "../src/inbox/heard-event.ts";
import { parcel, World } from "./world.ts";

/** What is told waits for company for a second, and a machine may be slow. */
const patience = { deadlineMs: 40_000 };

let world: World;
before(async () => {
  world = await World.open();
});
after(() => world?.[Symbol.asyncDispose]());
beforeEach(() => world.mailbox.clear());

const said = ({ orderId }: Order, type = "confirmed") => {
  return { type: `shop.orders.order.${type}.v1`, schema: OrderEventSchema, data: { orderId } };
};

/** Waits until nothing is left to do. */
async function atRest(): Promise<void> {
  const left = async () => {
    const [row] = await world.test.database.query<{ left: number }>(`select
      (select count(*) from inbox_event where plan_time is null)::int
      + (select count(*) from notification where status = 'pending')::int as left`);
    return row?.left === 0;
  };
  await until(left, "nothing is left to do", patience);
}

describe("the inbox", () => {
  it("listens to what services tell, and to nothing else", () => {
    const told = Object.entries(eventTables).flatMap(([service, types]) =>
      Object.entries(types).flatMap(([action, type]) => ("schema" in type ? [`shop.${service}.${action}.v1`] : [])),
    );
    assert.deepEqual(
      heardTypes.filter((type) => !told.includes(type)),
      [],
    );
  });

  it("has what comes twice told once, under one id or two", async () => {
    await using _running = await world.start();
    const order = world.orders.add();
    const id = await world.tell(said(order));
    await until(() => world.mailsOf(order).length === 1, "it is told", patience);
    // As after the window in which the broker knows an id.
    const connection = await connect({ servers: world.nats.url });
    const { streams } = await jetstreamManager(connection);
    const first = await streams.getMessage("ordermesh", { last_by_subj: "ordermesh.orders.order.confirmed" });
    assert.ok(first);
    assert.equal(first.header.get("ce-id"), id);
    const headers = first.header;
    headers.delete("Nats-Msg-Id");
    for (let time = 0; time < 3; time += 1) connection.publish(first.subject, first.data, { headers });
    await connection.flush();
    await connection.close();
    await world.tell(said(order));
    const heard = async () => {
      const rows = await world.test.database.query("select from inbox_event");
      return rows.length >= 2;
    };
    await until(heard, "the other id is heard", patience);
    await atRest();
    assert.equal(world.mailsOf(order).length, 1);
  });

  it("says the same when events come in another order than things happened", async () => {
    await using _running = await world.start();
    const order = world.orders.add({ shipments: [parcel("berlin", OrderShipmentStatus.DELIVERED)] });
    for (const type of ["delivered", "parcels_changed", "shipped", "confirmed"]) await world.tell(said(order, type));
    await until(() => world.mailsOf(order).length === 3, "all of it is told", patience);
    await atRest();
    const subjects = world.mailsOf(order).map(({ subject }) => / (?:is|has) (.*)$/.exec(subject)?.[1]);
    assert.deepEqual(subjects.sort(), ["arrived", "confirmed", "on its way"]);
  });

  it("says things of an order in their order, though orders is slow to answer about the first", async () => {
    const order = world.orders.add();
    let asked = 0;
    world.orders.pause = async () => {
      asked += 1;
      if (asked === 1) await new Promise((resolve) => setTimeout(resolve, 300));
    };
    for (const amount of [100n, 200n, 300n, 400n]) {
      const data = { orderId: order.orderId, operationId: newId(), amount: { currency: "EUR", amount } };
      await world.tell({ type: "shop.payments.payment.refunded.v1", schema: PaymentEventSchema, data });
    }
    await using _running = await world.start();
    await until(() => world.mailsOf(order).length === 4, "all of it is told", patience);
    world.orders.pause = async () => undefined;
    const amounts = world.mailsOf(order).map(({ subject }) => /€(\d)\.00/.exec(subject)?.[1]);
    assert.deepEqual(amounts, ["1", "2", "3", "4"]);
  });

  it("reads events in Protobuf as well, and passes over what it cannot read", async () => {
    await using running = await world.start();
    const order = world.orders.add();
    const broken = { ...said(order), data: { orderId: "no id" } };
    await world.tell(broken);
    await world.tell({ ...said(order), type: "shop.orders.order.confirmed.v2" });
    await world.tell({ ...said(order), format: "protobuf" });
    await until(() => world.mailsOf(order).length === 1, "it is told", patience);
    assert.match(running.log(), /an event cannot be read, and nobody is told of it/);
    const unreadable = await running.registry.getSingleMetric("events_unreadable_total")?.get();
    assert.equal(unreadable?.values[0]?.value, 1);
  });

  it("hears what happened while nobody ran, and what happened while the broker was away", async () => {
    const [before, during] = [world.orders.add(), world.orders.add()];
    await world.tell(said(before));
    await using running = await world.start();
    await until(() => world.mailsOf(before).length === 1, "what happened before is told", patience);
    await world.nats.kill();
    await until(() => running.log().includes("reading events failed"), "the broker is away", patience);
    await world.nats.run();
    await until(() => world.tell(said(during)), "it is told again", patience);
    await until(() => world.mailsOf(during).length === 1, "it is told", patience);
  });

  it("misses nothing and tells nothing twice when its consumer is gone from the broker", async () => {
    await using _running = await world.start();
    const [first, second] = [world.orders.add(), world.orders.add()];
    await world.tell(said(first));
    await until(() => world.mailsOf(first).length === 1, "it is told", patience);
    const connection = await connect({ servers: world.nats.url });
    const { consumers } = await jetstreamManager(connection);
    const known = await consumers.list("ordermesh").next();
    assert.ok(known.length > 0);
    for (const { name } of known) await consumers.delete("ordermesh", name);
    await connection.close();
    await world.tell(said(second));
    await until(() => world.mailsOf(second).length === 1, "it is told", patience);
    await atRest();
    assert.equal(world.mailsOf(first).length, 1);
  });

  it("hears again what it could not keep", async () => {
    const kept: string[] = [];
    let failures = 0;
    const reader = new EventReader<HeardEvent>({
      nats: {
        servers: [world.nats.url],
        name: "notifications",
        stream: { name: "ordermesh", maxAgeMs: 0, maxBytes: -1, replicas: 1 },
      },
      database: world.test.database,
      registry: new Registry(),
      log: quietLogger(),
      read: readEvent,
      begin: async () => ({
        wants: isHeard,
        keep: async (events) => {
          failures += 1;
          if (failures === 1) throw new Error("the database is away");
          kept.push(...events.map(({ eventId }) => eventId));
        },
      }),
    });
    const id = await world.tell(said(world.orders.add()));
    await until(() => reader.sweep().then(undefined, () => failures === 1), "it could not be kept", patience);
    await until(() => reader.sweep().then(() => kept.includes(id)), "it comes again", patience);
    await reader.close();
  });

  it("shares what there is among replicas, and each order is told once", async () => {
    await using _one = await world.start();
    await using _two = await world.start();
    const orders = Array.from({ length: 60 }, () => world.orders.add());
    for (const order of orders) await world.tell(said(order));
    await until(() => world.mailbox.mails.length >= orders.length, "all are told", patience);
    await atRest();
    for (const order of orders) assert.equal(world.mailsOf(order).length, 1);
  });

  it("keeps nothing of a person, and tells nobody of a payment without an order", async () => {
    await using _running = await world.start();
    const data = { paymentId: newId(), operationId: newId(), amount: { currency: "EUR", amount: 1n } };
    await world.tell({ type: "shop.payments.payment.refunded.v1", schema: PaymentEventSchema, data });
    const order = world.orders.add();
    await world.tell(said(order));
    await until(() => world.mailsOf(order).length === 1, "it is told", patience);
    await atRest();
    const tables = ["inbox_event", "notification", "recipient", "audit_event"];
    for (const table of tables) {
      const rows = await world.test.database.query<{ text: string }>(`select t::text as text from ${table} t`);
      for (const { text } of rows) assert.doesNotMatch(text, /lovelace|london|example\.com/i);
    }
  });
});
