// From the stream of a real broker to the subscriber: in order, each event once, whoever dies in between.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Registry } from "prom-client";
import { OrderEventSchema } from "#gen/shop/events/v1/order_event_pb.js";
import type { Database } from "#platform/database/database.ts";
import { EventReader } from "#platform/events/event-reader.ts";
import { type Addressed, NatsBroker } from "#platform/events/nats-broker.ts";
import { NatsStream } from "#platform/events/nats-stream.ts";
import { newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { NatsServer } from "../../../dev/testing/nats.ts";
import { readEvent } from "../src/delivery/heard-event.ts";
import { planning } from "../src/delivery/plan.ts";
import { Replica, Subscriber, webhooksDatabase } from "./harness.ts";

const stream = { name: "ordermesh", maxAgeMs: 3_600_000, maxBytes: 64 * 1024 * 1024, replicas: 1 };

let test: TestDatabase;
let nats: NatsServer;
let subscriber: Subscriber;
let broker: NatsBroker;
let published: NatsStream;
const running = new Set<Replica>();
before(async () => {
  [test, nats, subscriber] = await Promise.all([webhooksDatabase(), NatsServer.start(), Subscriber.start()]);
  broker = new NatsBroker({ servers: [nats.url], name: "test", stream });
  published = new NatsStream({ servers: [nats.url], name: "reader", stream });
});
after(async () => {
  await broker.close();
  await published.close();
  await subscriber[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  await test[Symbol.asyncDispose]();
});
afterEach(async () => {
  await Promise.all([...running].map((replica) => replica.parts.stop?.()));
  running.clear();
  for (const table of ["webhook_delivery", "webhook_event", "webhook_endpoint"])
    await test.database.query(`delete from ${table}`);
  subscriber.got.length = 0;
});

async function started(): Promise<Replica> {
  const replica = new Replica(test.database, { EVENTS_NATS_URL: nats.url, EVENTS_STREAM: "ordermesh" });
  await replica.parts.start?.();
  running.add(replica);
  return replica;
}

type Format = "json" | "protobuf";

/** An event of an order that was shipped, which says so. */
function shipped(orderId: string, data: Uint8Array, format: Format = "json"): Addressed {
  const attributes = {
    specversion: "1.0",
    id: newId(),
    source: "/ordermesh/orders",
    type: "shop.orders.order.shipped.v1",
    subject: orderId,
    time: new Date().toISOString(),
    datacontenttype: `application/${format}`,
    dataschema: "#shop.events.v1.OrderEvent",
  } as const;
  return { address: "ordermesh.orders.order.shipped", event: { attributes, data } };
}

/** Publishes events of some orders, each of which counts up. */
async function publish(subjects: readonly string[], each: number, format: Format = "json") {
  const list = Array.from({ length: each }, (_, revision) =>
    subjects.map((orderId) => {
      const data = create(OrderEventSchema, { orderId, revision });
      const text = Buffer.from(JSON.stringify({ orderId, revision }));
      return shipped(orderId, format === "json" ? text : toBinary(OrderEventSchema, data), format);
    }),
  ).flat();
  const { arrived } = await broker.deliver(list);
  assert.equal(arrived, list.length);
  return list;
}

const place = async () =>
  Number((await test.database.query<{ place: bigint }>("select place from stream_cursor"))[0]?.place ?? -1);

/** Before anything is told the reader has to be where the stream ends, behind what the tests before have left in it. */
async function begun(): Promise<void> {
  const end = await published.end();
  await until(async () => (await place()) >= end, "it has read what was there");
}

function assertInOrder(subjects: readonly string[], each: number): void {
  for (const subject of subjects) {
    const revisions = subscriber
      .to("billing")
      .filter(({ data }) => data.orderId === subject)
      .map(({ data }) => data.revision ?? 0);
    assert.deepEqual(
      revisions,
      Array.from({ length: each }, (_, index) => index),
      subject,
    );
  }
}

describe("the stream", () => {
  it("is read from its end on by who has never read it, and what it has reaches subscribers in order", async () => {
    await publish([newId()], 1);
    const replica = await started();
    await begun();
    await replica.endpoint(subscriber, "billing");
    const subjects = Array.from({ length: 5 }, () => newId());
    await publish(subjects, 20);
    await until(() => subscriber.to("billing").length === 100, "all are told");
    assertInOrder(subjects, 20);
  });

  it("gives an event as soon as it is there, alone or with others, and waits for no company", async () => {
    let at = await published.end();
    const times: number[] = [];
    for (const [there, most] of [
      [1, 200],
      [3, 200],
      [5, 3],
      [2, 1],
    ] as const) {
      await publish([newId()], there);
      const begin = performance.now();
      const { messages, place } = await published.after(at, most);
      times.push(performance.now() - begin);
      assert.deepEqual([messages.length, place], [Math.min(there, most), at + Math.min(there, most)]);
      at = await published.end();
    }
    assert.ok(Math.max(...times) < 900, `it took ${times.map(Math.round).join(", ")} ms`);
  });

  it("may have its data as Protobuf", async () => {
    const replica = await started();
    await begun();
    await replica.endpoint(subscriber, "billing");
    const [event] = await publish([newId()], 1, "protobuf");
    const [got] = await until(() => subscriber.to("billing").length > 0 && subscriber.to("billing"), "it is told");
    assert.deepEqual(got?.data, { orderId: event?.event.attributes.subject });
  });

  it("is passed over unread where nobody wants what it has, and read from the moment that somebody does", async () => {
    const replica = await started();
    await begun();
    const tell = () => broker.deliver([shipped(newId(), Buffer.from("no JSON"))]);
    const passedOver = () => replica.figure("webhooks_events_total", { outcome: "unwanted" });
    const before = await passedOver();
    await tell();
    await until(async () => (await passedOver()) === before + 1, "it is passed over");
    const unreadable = () => replica.figure("events_unreadable_total");
    assert.equal(await unreadable(), 0);
    await replica.endpoint(subscriber, "billing");
    await tell();
    await until(async () => (await unreadable()) === 1, "it is read");
  });

  it("is read by one of several replicas, and by another one when that ends", async () => {
    const [first, second] = [await started(), await started()];
    await begun();
    await first.endpoint(subscriber, "billing");
    const subjects = Array.from({ length: 5 }, () => newId());
    await publish(subjects, 10);
    await until(() => subscriber.to("billing").length > 5, "some are told");
    await first.parts.stop?.();
    running.delete(first);
    await until(() => subscriber.to("billing").length >= 50, "all are told");
    assert.equal(await second.figure("events_lost_total"), 0);
    for (const subject of subjects) {
      const ids = subscriber
        .to("billing")
        .filter(({ data }) => data.orderId === subject)
        .map(({ id }) => id);
      assert.equal(new Set(ids).size, 10);
    }
  });

  it("goes on where it was after the broker was killed", async () => {
    const replica = await started();
    await begun();
    await replica.endpoint(subscriber, "billing");
    await publish([newId()], 3);
    await until(() => subscriber.to("billing").length === 3, "the first are told");
    await nats.kill();
    await nats.run();
    await until(() => publish([newId()], 3), "the broker takes more");
    await until(() => subscriber.to("billing").length >= 6, "the others are told", { deadlineMs: 30_000 });
  });

  it("is read whole by whoever comes after a process that died between any two statements", async () => {
    const setup = new Replica(test.database);
    await setup.endpoint(subscriber, "billing");
    const subjects = [newId(), newId()];
    await readOnce(test.database);
    await publish(subjects, 5);
    for (let dies = 1; ; dies += 1) {
      const { database, died } = dyingAt(test.database, dies);
      await readOnce(database).catch(() => undefined);
      if (!died()) break;
      const [counted] = await test.database.query<{ count: number }>(
        "select count(*)::int as count from webhook_delivery",
      );
      assert.equal(counted?.count, 0, `something was left by one that died at its statement ${dies}`);
      assert.ok(dies < 20, "it never comes to an end");
    }
    const [counted] = await test.database.query<{ count: number; events: number }>(
      "select count(*)::int as count, count(distinct event_id)::int as events from webhook_delivery",
    );
    assert.deepEqual(counted, { count: 10, events: 10 });
    await started();
    await until(() => subscriber.to("billing").length === 10, "all are told");
    assertInOrder(subjects, 5);
  });
});

/** Reads one batch, as a process that has just begun. */
async function readOnce(database: Database): Promise<void> {
  const reader = new EventReader({
    nats: { servers: [nats.url], name: "webhooks", stream },
    database,
    registry: new Registry(),
    log: quietLogger(),
    read: readEvent,
    begin: (tx) => planning(tx, { heard: () => undefined }),
  });
  try {
    await reader.sweep();
  } finally {
    await reader.close();
  }
}

/** A database whose user dies at the statement of this number in a transaction, or when it commits. */
function dyingAt(database: Database, number: number) {
  let count = 0;
  let died = false;
  const dies = () => {
    count += 1;
    if (count !== number) return;
    died = true;
    throw new Error("the process dies");
  };
  const transaction: Database["transaction"] = (work) =>
    database.transaction(async (tx) => {
      const dying = {
        ...tx,
        query: async (...given: Parameters<typeof tx.query>) => {
          dies();
          return tx.query(...given);
        },
      };
      const result = await work(dying as typeof tx);
      dies();
      return result;
    });
  return { database: { transaction } as Database, died: () => died };
}
