import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import pg from "pg";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { type CreateOrderResponse, WaitFor, type WatchOrderResponse } from "#gen/shop/orders/v1/order_service_pb.js";
import type { Database } from "#platform/database/database.ts";
import { newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  beginReplica,
  eventually,
  metric,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  refusal,
  secondDatabase,
  startReplica,
} from "./harness.ts";

describe("following orders", () => {
  let test: TestDatabase;
  let otherDatabase: Database;
  let worker: FakeWorker;
  let one: Replica;
  let two: Replica;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    otherDatabase = await secondDatabase(test);
  });
  after(async () => {
    await otherDatabase.close();
    await test[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    worker = new FakeWorker();
    one = await startReplica(test.database, worker);
    two = await startReplica(otherDatabase, worker);
    customerId ??= await newCustomer(one);
  });
  afterEach(async () => {
    await one.stop();
    await two.stop();
    // The next test's worker is to be asked for its own orders alone.
    await test.database.query("delete from order_event");
    await test.database.query("delete from episode");
  });

  async function place(): Promise<string> {
    const { order } = await one.orders.createOrder(orderRequest(customerId));
    return order?.orderId ?? "";
  }

  async function move(orderIds: string[], status: OrderStatus): Promise<void> {
    const { outcomes } = await one.lifecycle.batchTransitionOrders({
      requests: orderIds.map((orderId) => ({ orderId, status })),
    });
    assert.ok(outcomes.every(({ outcome }) => outcome.case === "response"));
  }

  function watching(replica: Replica): Promise<number> {
    return metric(replica, "orders_watchers");
  }

  function statusOf(response: WatchOrderResponse | CreateOrderResponse): OrderStatus | undefined {
    return response.order?.status;
  }

  it("shows the present state, each change made through another replica, and ends with the order", async () => {
    const orderId = await place();
    const seen: string[] = [];
    const way = [OrderStatus.CONFIRMED, OrderStatus.PREPARING, OrderStatus.SHIPPED, OrderStatus.DELIVERED];
    for await (const response of two.orders.watchOrder({ orderId })) {
      seen.push(`${response.order?.status} ${response.order?.revision}`);
      const next = way.shift();
      if (next) await move([orderId], next);
    }
    assert.deepEqual(seen, ["1 1", "2 2", "3 3", "4 4", "5 5"]);
    assert.equal(await watching(two), 0);
  });

  it("ends at once for an order that has ended, and is refused for one that is not there", async () => {
    const orderId = await place();
    await move([orderId], OrderStatus.REJECTED);
    const seen: (OrderStatus | undefined)[] = [];
    for await (const response of two.orders.watchOrder({ orderId })) seen.push(statusOf(response));
    assert.deepEqual(seen, [OrderStatus.REJECTED]);
    const missing = two.orders.watchOrder({ orderId: newId() })[Symbol.asyncIterator]().next();
    assert.equal((await refusal(missing)).code, Code.NotFound);
  });

  it("hears again after the listening connections were killed, with what was missed meanwhile", async () => {
    const orderId = await place();
    const seen: (OrderStatus | undefined)[] = [];
    const watched = (async () => {
      for await (const response of two.orders.watchOrder({ orderId })) seen.push(statusOf(response));
    })();
    await eventually(() => assert.equal(seen.length, 1));
    await killListeners(test);
    await eventually(() => move([orderId], OrderStatus.CONFIRMED));
    await eventually(() => assert.equal(seen.at(-1), OrderStatus.CONFIRMED));
    await move([orderId], OrderStatus.CANCELLED);
    await watched;
    assert.deepEqual(seen, [OrderStatus.PENDING, OrderStatus.CONFIRMED, OrderStatus.CANCELLED]);
  });

  it("lets go of a watcher that leaves", async () => {
    const orderId = await place();
    const controller = new AbortController();
    const stream = two.orders.watchOrder({ orderId }, { signal: controller.signal })[Symbol.asyncIterator]();
    await stream.next();
    assert.equal(await watching(two), 1);
    const next = stream.next();
    controller.abort();
    assert.equal((await refusal(next)).code, Code.Canceled);
    await eventually(async () => assert.equal(await watching(two), 0));
  });

  it("keeps only the latest state for a slow reader", async () => {
    const orderId = await place();
    const stream = two.orders.watchOrder({ orderId })[Symbol.asyncIterator]();
    assert.equal((await stream.next()).value?.order?.revision, 1);
    for (const status of [OrderStatus.CONFIRMED, OrderStatus.PREPARING, OrderStatus.SHIPPED])
      await move([orderId], status);
    const revisions: number[] = [];
    await move([orderId], OrderStatus.DELIVERED);
    for (let next = await stream.next(); !next.done; next = await stream.next()) {
      revisions.push(next.value.order?.revision ?? 0);
    }
    assert.equal(revisions.at(-1), 5);
    assert.deepEqual(revisions, revisions.toSorted());
  });

  it("tells two hundred waiting callers with few reads", async (t) => {
    const queries = t.mock.method(otherDatabase, "query").mock;
    const seen: CreateOrderResponse[] = [];
    const calls = Array.from({ length: 200 }, async () => {
      seen.push(await two.orders.createOrder({ ...orderRequest(customerId), waitFor: WaitFor.CONFIRMED }));
    });
    await eventually(() => assert.equal(worker.starts.flatMap((start) => start.orders).length, 200));
    assert.equal(seen.length, 0);
    await move(
      worker.starts.flatMap((start) => start.orders.map((order) => order.orderId)),
      OrderStatus.CONFIRMED,
    );
    await Promise.all(calls);
    assert.deepEqual(new Set(seen.map(statusOf)), new Set([OrderStatus.CONFIRMED]));
    const reads = queries.calls.filter(({ arguments: [sql] }) => typeof sql === "object" && sql.name === "order_find");
    assert.ok(reads.length >= 1 && reads.length <= 4, `${reads.length} reads`);
  });

  it("returns the first answer of the saga, even one that is faster than the call", async () => {
    const decide = (status: OrderStatus) => {
      worker.onStart = (request) =>
        move(
          request.orders.map((order) => order.orderId),
          status,
        );
    };
    for (const status of [OrderStatus.CONFIRMED, OrderStatus.REJECTED, OrderStatus.CANCELLED]) {
      decide(status);
      const request = { ...orderRequest(customerId), waitFor: WaitFor.CONFIRMED };
      assert.equal(statusOf(await one.orders.createOrder(request)), status);
      assert.equal(statusOf(await two.orders.createOrder(request)), status, "a repetition");
    }
  });

  it("returns the pending order shortly before the deadline, and the order goes on", async () => {
    const request = { ...orderRequest(customerId), waitFor: WaitFor.CONFIRMED };
    const response = await one.orders.createOrder(request, { timeoutMs: 1_500 });
    assert.equal(statusOf(response), OrderStatus.PENDING);
    const repeated = two.orders.createOrder(request);
    await eventually(() => assert.equal(worker.starts.length, 1));
    await move([response.order?.orderId ?? ""], OrderStatus.CONFIRMED);
    const { order } = await repeated;
    assert.equal(order?.orderId, response.order?.orderId);
    assert.equal(order?.status, OrderStatus.CONFIRMED);
  });

  it("returns the order as it stands when the process stops", async () => {
    const waiting = two.orders.createOrder({ ...orderRequest(customerId), waitFor: WaitFor.CONFIRMED });
    await eventually(() => assert.equal(worker.starts.length, 1));
    const begin = performance.now();
    two.close();
    assert.equal(statusOf(await waiting), OrderStatus.PENDING);
    const late = await two.orders.createOrder({ ...orderRequest(customerId), waitFor: WaitFor.CONFIRMED });
    assert.equal(statusOf(late), OrderStatus.PENDING);
    assert.ok(performance.now() - begin < 10_000);
  });

  it("misses nothing that changed after the first calls and before the first connection listened", async (t) => {
    const orderId = await place();
    const listening = Promise.withResolvers<void>();
    const listen = otherDatabase.listen.bind(otherDatabase);
    t.mock.method(otherDatabase, "listen", async (...given: Parameters<Database["listen"]>) => {
      await listening.promise;
      return listen(...given);
    });
    await using late = beginReplica(otherDatabase, worker);
    const stream = late.orders.watchOrder({ orderId })[Symbol.asyncIterator]();
    assert.equal((await stream.next()).value?.order?.status, OrderStatus.PENDING);
    const next = stream.next();
    await move([orderId], OrderStatus.REJECTED);
    listening.resolve();
    await late.started;
    assert.equal((await next).value?.order?.status, OrderStatus.REJECTED);
  });

  it("stops waiting when the caller leaves; the order stays", async () => {
    const controller = new AbortController();
    const request = { ...orderRequest(customerId), waitFor: WaitFor.CONFIRMED };
    const call = one.orders.createOrder(request, { signal: controller.signal });
    await eventually(() => assert.equal(worker.starts.length, 1));
    controller.abort();
    assert.equal((await refusal(call)).code, Code.Canceled);
    const { order } = await two.orders.createOrder({ ...request, waitFor: WaitFor.ACCEPTED });
    assert.equal(order?.orderId, worker.starts[0]?.orders[0]?.orderId);
  });
});

/** Ends the connections that listen, as a failover does. */
async function killListeners(test: TestDatabase): Promise<void> {
  const client = new pg.Client({ connectionString: test.adminUrl });
  await client.connect();
  const { rowCount } = await client.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query ilike 'listen%'",
  );
  await client.end();
  assert.ok((rowCount ?? 0) >= 2, `${rowCount} listeners`);
}
