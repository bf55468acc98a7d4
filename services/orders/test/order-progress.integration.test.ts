import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Registry } from "prom-client";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import type { Relay } from "#platform/batch/relay.ts";
import { decodeId } from "#platform/id.ts";
import { keptLog } from "#testing/logger.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { createOrderMetrics } from "../src/order/metrics.ts";
import { createProgressWatch } from "../src/order/order-progress.ts";
import { eager, lastStart, type SettlementChanges, settlement } from "./episode-rows.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  eventually,
  metric,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  startReplica,
} from "./harness.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

describe("orders that do not get on", () => {
  const { logger, text: log } = keptLog("orders");
  const registry = new Registry();
  const shown = { registry } as Replica;
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let watch: Relay;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker, { ...eager, EPISODE_SWEEP_AGE_MS: hourMs });
    const allowedMs = { pending: 1, confirmed: hourMs, preparing: 1, shipped: 1, carried: minuteMs };
    const metrics = createOrderMetrics(registry);
    watch = createProgressWatch({ database: test.database, metrics, logger, allowedMs });
    watch.start();
  });
  after(async () => {
    await watch.stop();
    await replica.stop();
    await test[Symbol.asyncDispose]();
  });

  /** An order that was carried once, and settled like this. */
  async function settled(changes: SettlementChanges = {}): Promise<string> {
    const { order } = await replica.orders.createOrder(orderRequest(await newCustomer(replica)));
    const orderId = order?.orderId ?? "";
    const { episodeId } = await eventually(() => lastStart(worker, orderId) ?? assert.fail("not carried"));
    const requests = [settlement(orderId, episodeId, changes)];
    const { outcomes } = await replica.episodes.batchSettleOrders({ requests });
    assert.equal(outcomes[0]?.outcome.case, "response");
    return orderId;
  }

  /** Waits until so many orders of a status are shown, and for the look after that. */
  async function shows(status: string, count: number): Promise<void> {
    const look = () => {
      watch.nudge();
      return metric(shown, "orders_stalled", { status });
    };
    await eventually(async () => assert.equal(await look(), count));
  }

  const told = (orderId: string) => log().split(orderId).length - 1;

  it("are counted, and logged once while they stay as they are", async () => {
    const first = await settled();
    await shows("pending", 1);
    assert.ok((await metric(shown, "orders_oldest_stalled_seconds", { status: "pending" })) > 0);
    const second = await settled();
    await shows("pending", 2);
    assert.deepEqual([told(first), told(second)], [1, 1]);
    assert.match(log(), /an order is pending for too long/);
    const requests = [first, second].map((orderId) => ({ orderId, status: OrderStatus.CONFIRMED }));
    await replica.lifecycle.batchTransitionOrders({ requests });
    await shows("pending", 0);
    assert.equal(await metric(shown, "orders_oldest_stalled_seconds", { status: "pending" }), 0);
    assert.equal(await metric(shown, "orders_stalled", { status: "confirmed" }), 0, "they may stay there for an hour");
  });

  it("are counted in whichever status they are while an episode does not end, and logged once", async () => {
    const { order } = await replica.orders.createOrder(orderRequest(await newCustomer(replica)));
    const orderId = order?.orderId ?? "";
    const { episodeId } = await eventually(() => lastStart(worker, orderId) ?? assert.fail("not carried"));
    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status: OrderStatus.CONFIRMED }] });
    await shows("carried", 0);
    const acked = "update episode set start_time = now() - interval '2 minutes' where ack_time is not null returning 1";
    await eventually(async () => assert.ok((await test.database.query(acked)).length > 0));
    await shows("carried", 1);
    await shows("carried", 1);
    assert.ok((await metric(shown, "orders_oldest_stalled_seconds", { status: "carried" })) >= 120);
    // On a busy machine it was also pending for longer than it may be.
    const lines = log()
      .split("\n")
      .filter((line) => line.includes(orderId) && line.includes("an order is carried for too long"));
    assert.equal(lines.length, 1);
    await replica.episodes.batchSettleOrders({ requests: [settlement(orderId, episodeId)] });
    await shows("carried", 0);
  });

  it("count once, as carried, when they are in a status for too long as well", async () => {
    const { order } = await replica.orders.createOrder(orderRequest(await newCustomer(replica)));
    const orderId = order?.orderId ?? "";
    const { episodeId } = await eventually(() => lastStart(worker, orderId) ?? assert.fail("not carried"));
    await shows("pending", 1);
    const acked = "update episode set start_time = now() - interval '2 minutes' where ack_time is not null returning 1";
    await eventually(async () => assert.ok((await test.database.query(acked)).length > 0));
    await shows("carried", 1);
    await shows("pending", 0);
    await replica.episodes.batchSettleOrders({ requests: [settlement(orderId, episodeId)] });
    await shows("carried", 0);
    await shows("pending", 1);
    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status: OrderStatus.CONFIRMED }] });
    await shows("pending", 0);
  });

  it("are not those that wait for an operator, or for a service while they are tried again", async () => {
    const parked = { step: "void", reason: "CONFLICT", error: "the last error" };
    await settled({ parked });
    const retryAfter = durationFromMs(hourMs);
    const waiting = await settled({ retryAfter, waitsFor: "payments" });
    await shows("pending", 0);
    await test.database.query("delete from order_event where order_id = $1", [decodeId(waiting)]);
    await shows("pending", 1);
    assert.equal(told(waiting), 1, "nothing has it tried again");
  });

  it("are in the log once, all together, while nobody takes what happened to them, and when that is over", async () => {
    const { order } = await replica.orders.createOrder(orderRequest(await newCustomer(replica)));
    const orderId = order?.orderId ?? "";
    const { episodeId } = await eventually(() => lastStart(worker, orderId) ?? assert.fail("not carried"));
    const said = (text: string) => replica.log().split(text).length - 1;
    const begun = "orders wait to be carried, and no episode begins";
    const over = "no order waits to be carried any more";
    const late = `insert into order_event (order_id, event_id, kind, due_time)
      select order_id, unnest(array['one', 'two']), 'retry', now() - interval '1 minute' from customer_order where order_id = $1`;
    await test.database.query(late, [decodeId(orderId)]);
    const looks = () => metric(replica, "orders_oldest_due_event_seconds");
    const seen = await eventually(async () => ((await looks()) > 60 ? looks() : assert.fail("not seen")));
    await eventually(async () => assert.ok((await looks()) > seen, "another look"));
    assert.deepEqual([said(begun), said(over)], [1, 0]);
    await replica.episodes.batchSettleOrders({ requests: [settlement(orderId, episodeId)] });
    await eventually(() => assert.deepEqual([said(begun), said(over)], [1, 1]));
  });

  it("show with those who wait for a service how long they do", async () => {
    const waits = { waitsFor: "carrier", retryAfter: durationFromMs(hourMs) };
    const seconds = () => metric(replica, "orders_oldest_waiting_seconds", { waits_for: "carrier" });
    assert.equal(await seconds(), 0);
    const orderId = await settled(waits);
    await eventually(async () => assert.ok((await seconds()) > 0));
    assert.equal(await metric(replica, "orders_waiting", { waits_for: "carrier" }), 1);
    const since = () =>
      test.database.query<{ time: Date }>("select wait_time as time from customer_order where order_id = $1", [
        decodeId(orderId),
      ]);
    const [begin] = await since();
    const again = async (changes: SettlementChanges) => {
      const starts = worker.starts.length;
      await test.database.query("update order_event set due_time = now() where order_id = $1", [decodeId(orderId)]);
      await eventually(() => assert.ok(worker.starts.length > starts));
      const { episodeId = "" } = lastStart(worker, orderId) ?? {};
      await replica.episodes.batchSettleOrders({ requests: [settlement(orderId, episodeId, changes)] });
    };
    await again(waits);
    assert.deepEqual(await since(), [begin], "it waits for the same one");
    const lines = replica
      .log()
      .split("\n")
      .filter((line) => line.includes(orderId));
    assert.equal(lines.filter((line) => line.includes("rests until a service is back")).length, 1);
    await again({});
    assert.deepEqual(await since(), [{ time: null }]);
    await eventually(async () => assert.equal(await seconds(), 0));
  });
});
