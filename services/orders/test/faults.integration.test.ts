import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { ParkedStepDecision, ShipmentNews } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import type { TestDatabase } from "#testing/postgres.ts";
import { eager, episodesWith, kinds, lastStart, settlement, stored } from "./episode-rows.ts";
import { FakeWorker, sagaRefusal } from "./fake-worker.ts";
import {
  eventually,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  startReplica,
  unique,
} from "./harness.ts";

const policy = { ...eager, EPISODE_FAULTS_MAX: 3, EPISODE_FAULT_PAUSE_MS: 1 };

describe("orders with which episodes fail", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    await using own = await startReplica(test.database, new FakeWorker());
    customerId = await newCustomer(own);
  });
  after(() => test[Symbol.asyncDispose]());
  beforeEach(async () => {
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker, policy);
  });
  afterEach(async () => {
    await replica.stop();
    await test.database.query("delete from order_event");
    await test.database.query("delete from episode");
    await test.database.query("update customer_order set episode_id = null, episode_events = null");
  });

  /** Places orders and has them carried together. */
  async function together(count: number): Promise<{ orderIds: string[]; episodeId: string }> {
    await replica.stop();
    await using quiet = await startReplica(test.database, worker, { ...policy, DISPATCH_CONCURRENCY: 1 });
    const gate = Promise.withResolvers<void>();
    worker.onStart = () => gate.promise;
    await quiet.orders.createOrder(orderRequest(customerId));
    await eventually(() => assert.equal(worker.starts.length, 1));
    const requests = Array.from({ length: count }, () => quiet.orders.createOrder(orderRequest(customerId)));
    const orderIds = (await Promise.all(requests)).map(({ order }) => order?.orderId ?? "");
    worker.onStart = () => undefined;
    gate.resolve();
    const [orderId = ""] = orderIds;
    const episodeId = await carriedIn(orderId, 1);
    assert.equal(episodesWith(worker, orderId)[0]?.orders.length, count);
    await quiet.stop();
    replica = await startReplica(test.database, worker, policy);
    return { orderIds, episodeId };
  }

  /** The episode that has an order for the n-th time. */
  function carriedIn(orderId: string, times: number): Promise<string> {
    return eventually(() => {
      assert.equal(episodesWith(worker, orderId).length, times);
      return lastStart(worker, orderId)?.episodeId ?? "";
    });
  }

  async function settle(orderId: string): Promise<void> {
    const { episodeId = "" } = await stored(test.database, orderId);
    const { outcomes } = await replica.episodes.batchSettleOrders({ requests: [settlement(orderId, episodeId)] });
    assert.equal(outcomes[0]?.outcome.case, "response");
  }

  const report = (orderId: string) =>
    replica.episodes.batchReportShipments({ requests: [{ orderId, locationId: "BER", news: ShipmentNews.PACKED }] });
  const retry = (orderId: string) =>
    replica.episodes.decideParkedStep({
      requestId: unique("retry"),
      orderId,
      step: "carry",
      decision: ParkedStepDecision.RETRY,
    });
  const isParked = (orderId: string) =>
    eventually(async () => assert.equal((await stored(test.database, orderId)).parkedStep, "carry"));

  it("go alone, and are parked after some of them in a row; the others of their batch go on", async () => {
    const { orderIds, episodeId } = await together(3);
    const [poisonous = "", ...others] = orderIds;
    const fault = { orderId: poisonous, error: "TypeError: parcels is undefined" };
    worker.fail(episodeId, fault);
    for (const orderId of others) {
      await carriedIn(orderId, 2);
      await settle(orderId);
    }
    for (const times of [2, 3]) {
      const next = await carriedIn(poisonous, times);
      assert.deepEqual(lastStart(worker, poisonous)?.order.orderId, poisonous);
      assert.equal(episodesWith(worker, poisonous).at(-1)?.orders.length, 1, "it goes alone");
      worker.fail(next, fault);
    }
    await isParked(poisonous);
    const held = await stored(test.database, poisonous);
    assert.deepEqual(
      [held.parkedReason, held.parkedError, held.episodeId],
      ["WORKFLOW_FAILED", fault.error, undefined],
    );
    assert.deepEqual([...held.events].sort(), ["placed", "retry"]);
    assert.match(replica.log(), /TypeError: parcels is undefined.*an episode failed with an order/);
    const [orderId = ""] = others;
    await report(orderId);
    await carriedIn(orderId, 3);
    assert.equal(episodesWith(worker, poisonous).length, 3, "nothing carries it again by itself");
  });

  it("are carried again when an operator wants it, and begin anew once they have settled", async () => {
    const { orderIds, episodeId } = await together(1);
    const [orderId = ""] = orderIds;
    const fault = { orderId: "", error: "a task fails" };
    worker.fail(episodeId, fault);
    worker.fail(await carriedIn(orderId, 2), fault);
    worker.fail(await carriedIn(orderId, 3), fault);
    await isParked(orderId);
    await retry(orderId);
    worker.fail(await carriedIn(orderId, 4), fault);
    await isParked(orderId);
    await retry(orderId);
    await carriedIn(orderId, 5);
    assert.deepEqual(kinds(lastStart(worker, orderId)?.order.events ?? []).sort(), [
      "decision",
      "decision",
      "placed",
      "retry",
    ]);
    await settle(orderId);
    await report(orderId);
    worker.fail(await carriedIn(orderId, 6), fault);
    await carriedIn(orderId, 7);
    assert.equal((await stored(test.database, orderId)).parkedStep, null);
  });

  it("are not those whose workflow is gone because somebody was away", async () => {
    const { orderIds } = await together(1);
    const [orderId = ""] = orderIds;
    for (let times = 1; times <= policy.EPISODE_FAULTS_MAX + 2; times++) {
      worker.terminate(await carriedIn(orderId, times));
    }
    await carriedIn(orderId, policy.EPISODE_FAULTS_MAX + 3);
    assert.equal((await stored(test.database, orderId)).parkedStep, null);
  });

  it("are parked when the worker cannot read what they remember, with all that has happened to them", async () => {
    const { orderIds } = await together(3);
    const [unreadable = "", ...others] = orderIds;
    for (const orderId of orderIds) await settle(orderId);
    worker.onStart = ({ episodeId, orders }) => {
      if (!orders.some((order) => order.orderId === unreadable)) return;
      worker.running.delete(episodeId);
      throw sagaRefusal("SAGA_UNREADABLE", Code.InvalidArgument);
    };
    const requests = orderIds.map((orderId) => ({ orderId, locationId: "BER", news: ShipmentNews.PACKED }));
    await replica.episodes.batchReportShipments({ requests });
    await isParked(unreadable);
    for (const orderId of others) {
      await eventually(async () => {
        const { episodeId = "" } = await stored(test.database, orderId);
        assert.ok(worker.running.has(episodeId));
      });
    }
    const held = await stored(test.database, unreadable);
    assert.equal(held.parkedReason, "SAGA_UNREADABLE");
    assert.deepEqual([...held.events].sort(), ["retry", "shipment"]);
    worker.onStart = () => undefined;
    await retry(unreadable);
    await eventually(() =>
      assert.deepEqual(kinds(lastStart(worker, unreadable)?.order.events ?? []).sort(), [
        "decision",
        "retry",
        "shipment",
      ]),
    );
  });
});
