// Orders that wait for stock, as their rows, callers and watches see them.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { WaitFor } from "#gen/shop/orders/v1/order_service_pb.js";
import type { EpisodeOrder } from "#gen/shop/sagas/v1/saga_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import { decodeId, newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { eager, episodesWith, kinds, lastStart, type SettlementChanges, settlement, stored } from "./episode-rows.ts";
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

const config = {
  ...eager,
  EPISODE_SWEEP_AGE_MS: 600_000,
  ORDER_BACK_ORDER_SWEEP_MS: 50,
  EPISODE_RELAXED_SPACING_MS: 0,
};
const hour = 3_600_000;

describe("orders that wait for stock", () => {
  let database: TestDatabase;
  let replica: Replica;
  let customerId: string;
  const worker = new FakeWorker();
  before(async () => {
    database = await ordersDatabase();
    replica = await startReplica(database.database, worker, config);
    customerId = await newCustomer(replica);
  });
  after(async () => {
    await replica?.stop();
    await database?.[Symbol.asyncDispose]();
  });

  async function place(shortagePolicy = ShortagePolicy.BACK_ORDER): Promise<string> {
    const { order } = await replica.orders.createOrder({ ...orderRequest(customerId), shortagePolicy });
    return order?.orderId ?? "";
  }

  /** The order as the worker was asked to carry it for the so-and-so-many-th time. */
  function carried(orderId: string, times = 1): Promise<{ episodeId: string; order: EpisodeOrder }> {
    return eventually(() => {
      assert.equal(episodesWith(worker, orderId).length, times);
      const start = lastStart(worker, orderId);
      assert.ok(start);
      return start;
    });
  }

  async function settle(orderId: string, episodeId: string, changes: SettlementChanges = {}): Promise<void> {
    const { outcomes } = await replica.episodes.batchSettleOrders({
      requests: [settlement(orderId, episodeId, changes)],
    });
    assert.equal(outcomes[0]?.outcome.case, "response");
  }

  /** An order that has been told to wait, by its first episode. */
  async function waiting(): Promise<string> {
    const orderId = await place();
    const { episodeId } = await carried(orderId);
    await settle(orderId, episodeId, { awaitsStock: true });
    return orderId;
  }

  /** What orders answers to the news that stock is set aside. */
  async function report(...orderIds: string[]): Promise<string[]> {
    const { outcomes } = await replica.episodes.batchReportStock({
      requests: orderIds.map((orderId) => ({ orderId })),
    });
    return outcomes.map(({ outcome }) => (outcome.case === "response" ? "taken" : (outcome.value?.reason ?? "")));
  }

  function cancel(orderId: string) {
    return replica.orders.cancelOrder(
      { requestId: newId(), orderId, reason: "changed my mind" },
      { timeoutMs: 20_000 },
    );
  }

  const get = async (orderId: string) => {
    const { order } = await replica.orders.getOrder({ orderId });
    assert.ok(order);
    return order;
  };

  const age = (orderId: string, ms: number) =>
    database.database.query(
      `update customer_order set back_order_time = back_order_time - $2 * interval '1 millisecond',
        accept_time = accept_time - $2 * interval '1 millisecond' where order_id = $1`,
      [decodeId(orderId), ms],
    );

  test("say what they want, and by default want to be refused", async () => {
    assert.equal((await get(await place())).shortagePolicy, ShortagePolicy.BACK_ORDER);
    const plain = await place(ShortagePolicy.UNSPECIFIED);
    assert.equal((await get(plain)).shortagePolicy, ShortagePolicy.REJECT);
    assert.equal((await carried(plain)).order.checkout?.shortagePolicy, ShortagePolicy.REJECT);
    const { outcomes } = await replica.orders.bulkCreateOrders({
      requests: [{ ...orderRequest(customerId), shortagePolicy: ShortagePolicy.BACK_ORDER }],
    });
    const [first] = outcomes;
    assert.ok(first?.outcome.case === "response");
    assert.equal(first.outcome.value.order?.shortagePolicy, ShortagePolicy.BACK_ORDER);
  });

  test("rest with their card and say since when, and every change is one of the revision", async () => {
    const orderId = await place();
    const { episodeId, order: given } = await carried(orderId);
    assert.equal(given.checkout?.shortagePolicy, ShortagePolicy.BACK_ORDER);
    const placed = await get(orderId);
    assert.equal(placed.backOrderTime, undefined);
    await settle(orderId, episodeId, { awaitsStock: true });
    const waits = await get(orderId);
    assert.equal(waits.status, OrderStatus.PENDING);
    assert.ok(waits.backOrderTime);
    assert.equal(waits.revision, placed.revision + 1);
    assert.ok((await stored(database.database, orderId)).cardToken);
    assert.deepEqual(await report(orderId), ["taken"]);
    const served = await get(orderId);
    assert.equal(served.backOrderTime, undefined);
    assert.equal(served.revision, waits.revision + 1);
  });

  test("answer who waits for a confirmation as soon as it is known", async () => {
    const answer = replica.orders.createOrder(
      { ...orderRequest(customerId, { waitFor: WaitFor.CONFIRMED }), shortagePolicy: ShortagePolicy.BACK_ORDER },
      { timeoutMs: 20_000 },
    );
    const known = new Set(worker.starts.flatMap(({ orders }) => orders.map(({ orderId }) => orderId)));
    const orderId = await eventually(() => {
      const found = worker.starts.flatMap(({ orders }) => orders).find((order) => !known.has(order.orderId));
      assert.ok(found);
      return found.orderId;
    });
    await settle(orderId, (await carried(orderId)).episodeId, { awaitsStock: true });
    const { order } = await answer;
    assert.deepEqual([order?.orderId, order?.status], [orderId, OrderStatus.PENDING]);
    assert.ok(order?.backOrderTime);
  });

  test("are carried again when there is stock, with the time of a new checkout, and no more once they are confirmed", async () => {
    const orderId = await waiting();
    await age(orderId, 40 * 24 * hour);
    assert.deepEqual(await report(orderId), ["taken"]);
    const { episodeId, order } = await carried(orderId, 2);
    assert.deepEqual(kinds(order.events), ["retry"]);
    const since = Number(order.createTime?.seconds ?? 0n) * 1_000;
    assert.ok(Date.now() - since < 60_000, "its patience is counted from now on");
    assert.equal(order.checkout?.shortagePolicy, ShortagePolicy.BACK_ORDER);
    await settle(orderId, episodeId, { status: OrderStatus.CONFIRMED });
    assert.deepEqual((await stored(database.database, orderId)).events, []);
    // Told once more by a process that had died before it wrote down that it was heard.
    assert.deepEqual(await report(orderId), ["taken"]);
    assert.deepEqual((await stored(database.database, orderId)).events, []);
  });

  test("are carried again also when it is told while they are still in the episode that has them wait", async () => {
    const orderId = await place();
    const { episodeId } = await carried(orderId);
    assert.deepEqual(await report(orderId), ["taken"]);
    await settle(orderId, episodeId, { awaitsStock: true });
    const again = await carried(orderId, 2);
    await settle(orderId, again.episodeId, { status: OrderStatus.CONFIRMED });
    const [row] = await database.database.query<{ served: boolean }>(
      "select stock_time is not null as served from customer_order where order_id = $1",
      [decodeId(orderId)],
    );
    assert.equal(row?.served, true);
  });

  test("are known, or nobody's", async () => {
    assert.deepEqual(await report(newId()), ["ORDER_NOT_FOUND"]);
  });

  test("can be cancelled before their turn has come", async () => {
    const orderId = await waiting();
    const answer = cancel(orderId);
    const { episodeId, order } = await carried(orderId, 2);
    assert.deepEqual(kinds(order.events), ["cancellation"]);
    await settle(orderId, episodeId, { status: OrderStatus.CANCELLED });
    assert.equal((await answer).order?.status, OrderStatus.CANCELLED);
    assert.deepEqual(await report(orderId), ["taken"]);
    assert.deepEqual((await stored(database.database, orderId)).events, []);
  });

  test("can be cancelled when their turn has come", async () => {
    const orderId = await waiting();
    await report(orderId);
    const { episodeId } = await carried(orderId, 2);
    worker.onCancel = () => settle(orderId, episodeId, { status: OrderStatus.CANCELLED });
    assert.equal((await cancel(orderId)).order?.status, OrderStatus.CANCELLED);
  });

  test("do not want to wait any longer after the longest time, and are carried for that", async () => {
    const orderId = await waiting();
    await age(orderId, 91 * 24 * hour);
    const { order } = await carried(orderId, 2);
    assert.equal(order.checkout?.shortagePolicy, ShortagePolicy.REJECT);
  });

  test("are counted, and stand neither in the line of new orders nor still", async () => {
    const orderId = await waiting();
    await age(orderId, 30 * hour);
    await database.database.query(
      "update customer_order set update_time = update_time - interval '1 day', create_time = create_time - interval '1 day' where order_id = $1",
      [decodeId(orderId)],
    );
    await eventually(async () => assert.ok((await metric(replica, "orders_back_ordered")) >= 1));
    await eventually(async () => assert.ok((await metric(replica, "orders_oldest_back_order_seconds")) >= 100_000));
    assert.ok((await metric(replica, "orders_oldest_pending_seconds")) < 3_600);
    assert.equal(await metric(replica, "orders_stalled", { status: "pending" }), 0);
  });

  test("are told of by their watchers", async () => {
    const orderId = await place();
    const { episodeId } = await carried(orderId);
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { order } of replica.orders.watchOrder({ orderId }, { timeoutMs: 20_000 })) {
        seen.push(`${OrderStatus[order?.status ?? 0]} ${order?.backOrderTime ? "waits" : "goes on"}`);
      }
    })();
    await eventually(() => assert.equal(seen.length, 1));
    await settle(orderId, episodeId, { awaitsStock: true });
    await eventually(() => assert.equal(seen.length, 2));
    await report(orderId);
    await eventually(() => assert.equal(seen.length, 3));
    const again = await carried(orderId, 2);
    await settle(orderId, again.episodeId, { status: OrderStatus.REJECTED });
    await watching;
    assert.deepEqual(seen, ["PENDING goes on", "PENDING waits", "PENDING goes on", "REJECTED goes on"]);
  });
});
