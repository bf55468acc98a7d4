// A subscriber that reads again what happened from a time on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { NatsBroker } from "#platform/events/nats-broker.ts";
import { NatsServer } from "../../../dev/testing/nats.ts";
import { replay, type SeenEvent } from "../src/replay.ts";

const stream = { name: "ordermesh", maxAgeMs: 3_600_000, maxBytes: 1024 * 1024, replicas: 1 };

const addressed = (id: string) => ({
  address: "ordermesh.orders.order.confirmed",
  event: {
    attributes: {
      specversion: "1.0",
      id,
      source: "/ordermesh/orders",
      type: "shop.orders.order.confirmed.v1",
      subject: "an order",
      time: new Date().toISOString(),
      datacontenttype: "application/json",
      dataschema: "#shop.events.v1.OrderEvent",
    } as const,
    data: Buffer.from(JSON.stringify({ orderId: id })),
  },
});

async function all(events: AsyncIterable<SeenEvent>): Promise<SeenEvent[]> {
  const list: SeenEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

test("sees what the stream took from a time on, in its order, and ends with the newest", async () => {
  await using server = await NatsServer.start();
  const broker = new NatsBroker({ servers: [server.url], name: "orders", stream });
  await broker.deliver([addressed("first"), addressed("second")]);
  await pause(50);
  const since = new Date();
  await pause(50);
  await broker.deliver([addressed("third"), addressed("third"), addressed("fourth")]);
  await broker.close();
  const seen = await all(replay({ server: server.url, since }));
  assert.deepEqual(
    seen.map(({ id, type, subject, data }) => [id, type, subject, data.orderId]),
    ["third", "fourth"].map((id) => [id, "shop.orders.order.confirmed.v1", "an order", id]),
  );
  assert.deepEqual(await all(replay({ server: server.url, since: new Date() })), []);
  const everything = await all(replay({ server: server.url, since: new Date(0) }));
  assert.equal(everything.length, 4);
  assert.deepEqual(await all(replay({ server: server.url, since: new Date(0), filter: "ordermesh.payments.>" })), []);
});
