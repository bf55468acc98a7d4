import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { toBinary } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import pg from "pg";
import { Registry } from "prom-client";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ShipmentNews } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { OrderShipmentStatus, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { WaitFor } from "#gen/shop/orders/v1/order_service_pb.js";
import { StartEpisodeRequestSchema } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { toSettlement } from "../src/api/order-episode-proto.ts";
import { toKeyedOrder } from "../src/api/order-proto.ts";
import { CancellationRepository } from "../src/cancel/cancellation.repository.ts";
import { EpisodeRepository } from "../src/episode/episode.repository.ts";
import type { Episode } from "../src/episode/episode.ts";
import { toStartEpisode } from "../src/episode/episode-proto.ts";
import type { Haste } from "../src/episode/order-event.ts";
import { settleOrders } from "../src/episode/settlement.repository.ts";
import { createOrderMetrics } from "../src/order/metrics.ts";
import { OrderRepository } from "../src/order/order.repository.ts";
import { OrderIntake } from "../src/order/order-intake.ts";
import {
  claim,
  eager,
  episodeCounts,
  episodesWith,
  giveBack,
  kinds,
  lastStart,
  patient,
  settlement,
  startsOf,
  stored,
} from "./episode-rows.ts";
import { FakeWorker, sagaRefusal } from "./fake-worker.ts";
import {
  adjustedRequest,
  eventually,
  line,
  metric,
  newCustomer,
  orderRequest,
  ordersDatabase,
  personal,
  type Replica,
  refusal,
  secondDatabase,
  startReplica,
} from "./harness.ts";

describe("episodes", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let customerId: string;
  const replicas: Replica[] = [];
  before(async () => {
    test = await ordersDatabase();
    await using replica = await startReplica(test.database, new FakeWorker());
    customerId = await newCustomer(replica);
  });
  after(() => test[Symbol.asyncDispose]());
  beforeEach(() => {
    worker = new FakeWorker();
  });
  afterEach(async () => {
    for (const replica of replicas.splice(0)) await replica.stop();
    // The next test begins with nothing that is due, and nobody in line.
    await test.database.query("delete from order_event");
    await test.database.query("delete from episode");
    await test.database.query("update customer_order set episode_id = null, episode_events = null, waits_for = null");
    await test.database.query("update customer_order set status = 'failed' where status = 'pending'");
  });

  async function replicaWith(changes: Parameters<typeof startReplica>[2], database = test.database): Promise<Replica> {
    const replica = await startReplica(database, worker, changes);
    replicas.push(replica);
    return replica;
  }

  async function place(replica: Replica, count = 1): Promise<string[]> {
    const calls = Array.from({ length: count }, () => replica.orders.createOrder(orderRequest(customerId)));
    return (await Promise.all(calls)).map(({ order }) => order?.orderId ?? "");
  }

  /** Places orders that no replica has carried yet. */
  async function placeUncarried(count: number, changes: Parameters<typeof orderRequest>[1] = {}): Promise<string[]> {
    const intake = new OrderIntake({
      database: test.database,
      repository: new OrderRepository(test.database, personal),
      onPlaced: () => undefined,
      enter: (work) => work(),
      metrics: createOrderMetrics(new Registry()),
      batchMax: 64,
      lanes: 1,
    });
    const requests = Array.from({ length: count }, () => toKeyedOrder(orderRequest(customerId, changes)));
    return (await Promise.all(requests.map((request) => intake.accept(request)))).map(({ orderId }) => orderId);
  }

  /** Places an order and waits until an episode has it. */
  async function carried(replica: Replica): Promise<{ orderId: string; episodeId: string }> {
    const [orderId = ""] = await place(replica);
    return { orderId, episodeId: await episodeOf(orderId) };
  }

  /** The episode that the worker was last asked to carry an order in. */
  function episodeOf(orderId: string, times = 1): Promise<string> {
    return eventually(() => {
      assert.equal(episodesWith(worker, orderId).length, times);
      return lastStart(worker, orderId)?.episodeId ?? "";
    });
  }

  async function settle(replica: Replica, ...given: Parameters<typeof settlement>): Promise<string> {
    const { outcomes } = await replica.episodes.batchSettleOrders({ requests: [settlement(...given)] });
    const [first] = outcomes;
    if (first?.outcome.case === "response") return `${OrderStatus[first.outcome.value.status]}`;
    return first?.outcome.value?.reason ?? "";
  }

  const report = (replica: Replica, orderId: string, news = ShipmentNews.PACKED) =>
    replica.episodes.batchReportShipments({ requests: [{ orderId, locationId: "BER", news }] });

  it("begin with what an order is, and what happened to it", async () => {
    const replica = await replicaWith(eager);
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const { order } = await replica.orders.createOrder(orderRequest(customerId), { headers: { traceparent } });
    const orderId = order?.orderId ?? "";
    const episodeId = await episodeOf(orderId);
    const started = lastStart(worker, orderId)?.order;
    assert.deepEqual(kinds(started?.events ?? []), ["placed"]);
    assert.deepEqual([started?.customerId, started?.saga, started?.traceparent], [customerId, "", traceparent]);
    assert.equal(started?.checkout?.cardToken, "tok_approve");
    assert.deepEqual(
      started?.checkout?.lines.map(({ sku, quantity, unitPrice }) => [sku, quantity, unitPrice]),
      [
        ["ESPRESSO-1KG", 2, 1850n],
        ["FILTER-100", 1, 1000n],
      ],
    );
    const { saga } = await replica.episodes.getOrderSaga({ orderId });
    assert.deepEqual(
      [saga?.episodeId, saga?.lastEpisodeId, saga?.saga, saga?.legacy, saga?.status],
      [episodeId, episodeId, "", false, OrderStatus.PENDING],
    );
    assert.equal((await replica.orders.getOrder({ orderId })).order?.sagaId, episodeId);
    await eventually(async () => assert.equal((await episodeCounts(test.database)).open, 0));
  });

  it("begin with what each line costs, with its part of shipping, discounts and taxes", async () => {
    const replica = await replicaWith(eager);
    const orders = [adjustedRequest(customerId), orderRequest(customerId)];
    const amounts: (bigint | undefined)[][] = [];
    for (const request of orders) {
      const { order } = await replica.orders.createOrder(request);
      await episodeOf(order?.orderId ?? "");
      const { checkout } = lastStart(worker, order?.orderId ?? "")?.order ?? {};
      amounts.push((checkout?.lines ?? []).map(({ amount }) => amount));
    }
    assert.deepEqual(amounts, [
      [3644n, 1291n],
      [undefined, undefined],
    ]);
  });

  it("begin with when an order was accepted by the database, however wrong the clock of the replica is", async (context) => {
    const now = Date.now();
    const replica = await replicaWith(eager);
    context.mock.timers.enable({ apis: ["Date"], now: now - 7_200_000 });
    const { order } = await replica.orders.createOrder(orderRequest(customerId));
    context.mock.timers.reset();
    const orderId = order?.orderId ?? "";
    await episodeOf(orderId);
    // A checkout gives up by this time: by the other one it would at once.
    const seconds = Number(lastStart(worker, orderId)?.order.createTime?.seconds ?? 0);
    assert.ok(Math.abs(seconds * 1_000 - now) < 60_000, `${seconds * 1_000 - now} ms`);
    assert.ok(Math.abs(Number(order?.createTime?.seconds ?? 0) * 1_000 - now) > 3_600_000);
  });

  it("have an order rest in its row, and carry on from there when something happens", async () => {
    const replica = await replicaWith(eager);
    const { orderId, episodeId } = await carried(replica);
    const amount = { currency: "EUR", amount: 4700n };
    const shipment = { locationId: "BER", shipmentId: newId(), status: OrderShipmentStatus.PLANNED, amount };
    const saga = '{"stage": "FULFILLMENT", "text": "a\\u0000b\\ud800"}';
    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status: OrderStatus.CONFIRMED }] });
    const changes = { status: OrderStatus.PREPARING, saga, needsCard: false, shipments: [shipment] };
    assert.equal(await settle(replica, orderId, episodeId, changes), "PREPARING");
    const resting = await stored(test.database, orderId);
    assert.deepEqual(
      [resting.status, resting.episodeId, resting.saga, resting.cardToken, resting.events, resting.revision],
      ["preparing", undefined, saga, null, [], 3],
    );
    const { order } = await replica.orders.getOrder({ orderId });
    assert.deepEqual(
      order?.history.map(({ status }) => status),
      [1, 2, 3],
    );
    assert.equal(order?.shipments[0]?.shipmentId, shipment.shipmentId);
    await report(replica, orderId);
    await episodeOf(orderId, 2);
    const started = lastStart(worker, orderId)?.order;
    assert.equal(started?.saga, saga);
    assert.equal(started?.checkout, undefined);
    assert.deepEqual(started?.events[0]?.event.value, {
      $typeName: "shop.sagas.v1.ShipmentReported",
      locationId: "BER",
      news: "PACKED",
      generation: 0,
      trackingNumber: "",
      reason: "",
    });
    const log = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
    assert.deepEqual(
      log.map(({ action, details }) => [action, details.from, details.to]),
      [
        ["order.created", undefined, undefined],
        ["order.confirmed", "pending", "confirmed"],
        ["order.preparing", "confirmed", "preparing"],
      ],
    );
  });

  it("are over for who comes too late, and refuse what an order cannot become", async () => {
    const replica = await replicaWith(eager);
    const { orderId, episodeId } = await carried(replica);
    assert.equal(await settle(replica, orderId, newId()), "EPISODE_OVER");
    assert.equal(await settle(replica, newId(), episodeId), "ORDER_NOT_FOUND");
    assert.equal(await settle(replica, orderId, episodeId, { status: OrderStatus.DELIVERED }), "ILLEGAL_TRANSITION");
    assert.equal((await stored(test.database, orderId)).episodeId, episodeId);
    assert.equal(await settle(replica, orderId, episodeId), "PENDING");
    assert.equal(await settle(replica, orderId, episodeId, { status: OrderStatus.REJECTED }), "EPISODE_OVER");
    assert.deepEqual((await stored(test.database, orderId)).status, "pending");
    assert.equal((await stored(test.database, orderId)).revision, 1);
  });

  it("take what happens meanwhile when they are over, and the same report once", async () => {
    const replica = await replicaWith({ ...patient });
    const { orderId, episodeId } = await carried(replica);
    await Promise.all([report(replica, orderId), report(replica, orderId)]);
    await report(replica, orderId);
    await report(replica, orderId, ShipmentNews.BOOKED);
    assert.deepEqual((await stored(test.database, orderId)).events, ["shipment", "shipment"]);
    assert.equal(episodesWith(worker, orderId).length, 1);
    await settle(replica, orderId, episodeId);
    await episodeOf(orderId, 2);
    assert.deepEqual(kinds(lastStart(worker, orderId)?.order.events ?? []), ["shipment", "shipment"]);
    const unknown = await report(replica, newId());
    assert.equal(unknown.outcomes[0]?.outcome.case, "failure");
  });

  it("come again when it is time, and not before", async () => {
    const replica = await replicaWith(eager);
    const { orderId, episodeId } = await carried(replica);
    const changes = { retryAfter: durationFromMs(60_000), waitsFor: "payments" };
    await settle(replica, orderId, episodeId, changes);
    const waiting = await stored(test.database, orderId);
    assert.deepEqual([waiting.waitsFor, waiting.events], ["payments", ["retry"]]);
    await eventually(async () => {
      assert.equal(await metric(replica, "orders_waiting", { waits_for: "payments" }), 1);
    });
    assert.match(replica.log(), /an order rests until a service is back/);
    assert.equal(episodesWith(worker, orderId).length, 1);
    await test.database.query("update order_event set due_time = now()");
    const next = await episodeOf(orderId, 2);
    assert.deepEqual(kinds(lastStart(worker, orderId)?.order.events ?? []), ["retry"]);
    await settle(replica, orderId, next);
    assert.equal((await stored(test.database, orderId)).waitsFor, null);
  });

  it("come again when the database says that it is time, however wrong the clock of the replica is", async ({
    mock,
  }) => {
    const replica = await replicaWith(eager);
    const { orderId, episodeId } = await carried(replica);
    mock.timers.enable({ apis: ["Date"], now: Date.now() + 6 * 3_600_000 });
    await settle(replica, orderId, episodeId, { retryAfter: durationFromMs(60_000), waitsFor: "payments" });
    mock.timers.reset();
    const [row] = await test.database.query<{ seconds: number }>(
      "select extract(epoch from due_time - now())::float8 as seconds from order_event where order_id = $1",
      [decodeId(orderId)],
    );
    assert.ok(row && row.seconds > 0 && row.seconds <= 60, `${row?.seconds} s`);
  });

  it("come again at once when there is no time to wait for", async () => {
    const replica = await replicaWith(patient);
    const { orderId, episodeId } = await carried(replica);
    await settle(replica, orderId, episodeId, { retryAfter: durationFromMs(0) });
    await episodeOf(orderId, 2);
    assert.deepEqual(kinds(lastStart(worker, orderId)?.order.events ?? []), ["retry"]);
  });

  it("know whether an order was confirmed, also when nobody settled it since", async () => {
    const replica = await replicaWith(eager);
    const { orderId, episodeId } = await carried(replica);
    assert.equal(lastStart(worker, orderId)?.order.confirmed, false);
    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status: OrderStatus.CONFIRMED }] });
    worker.terminate(episodeId);
    const next = await episodeOf(orderId, 2);
    const { confirmed, checkout } = lastStart(worker, orderId)?.order ?? {};
    assert.deepEqual([confirmed, checkout?.cardToken], [true, "tok_approve"]);
    assert.equal(await settle(replica, orderId, next, { status: OrderStatus.CONFIRMED }), "CONFIRMED");
    assert.equal((await stored(test.database, orderId)).revision, 2);
  });

  it("have an order once, however many replicas look for it", async () => {
    const others = await Promise.all([secondDatabase(test), secondDatabase(test)]);
    const all: Replica[] = [];
    // Nobody takes a start for lost that is only slow.
    const config = { ...eager, DISPATCH_SWEEP_AGE_MS: 60_000 };
    for (const database of [test.database, ...others]) all.push(await replicaWith(config, database));
    const placed = (await Promise.all(all.map((replica) => place(replica, 60)))).flat();
    await eventually(() => assert.equal(worker.starts.flatMap(({ orders }) => orders).length, placed.length));
    const seen = worker.starts.flatMap(({ orders }) => orders.map(({ orderId }) => orderId));
    assert.deepEqual(seen.sort(), placed.sort());
    const size = async (replica: Replica) => (await metric(replica, "orders_episode_size")) > 0;
    assert.ok((await Promise.all(all.map(size))).some(Boolean));
    for (const replica of replicas.splice(0)) await replica.stop();
    for (const database of others) await database.close();
  });

  it("are claimed by one of many that try at the same moment", async () => {
    const placed = await placeUncarried(120);
    const others = await Promise.all([secondDatabase(test), secondDatabase(test)]);
    const claims = [test.database, ...others].flatMap((database) => {
      const episodes = new EpisodeRepository(database, personal);
      return Array.from({ length: 8 }, () => claim(episodes, 7));
    });
    const first = (await Promise.all(claims)).flatMap((claimed) => claimed?.episode.orders ?? []);
    const rest: typeof first = [];
    const episodes = new EpisodeRepository(test.database, personal);
    for (let next = await claim(episodes, 64); next; next = await claim(episodes, 64))
      rest.push(...next.episode.orders);
    const seen = [...first, ...rest].map(({ orderId }) => orderId);
    assert.ok(first.length > 7);
    assert.deepEqual(seen.sort(), placed.sort());
    for (const database of others) await database.close();
  });

  it("are started again, with the same bytes, after a crash between claim and start", async () => {
    const replica = await replicaWith(patient);
    worker.available = false;
    const [orderId = ""] = await place(replica, 3);
    await eventually(async () => assert.ok((await stored(test.database, orderId)).episodeId));
    await replica.stop();
    const { episodeId = "" } = await stored(test.database, orderId);
    worker.available = true;
    await replicaWith(eager);
    assert.equal(await episodeOf(orderId), episodeId);
    await eventually(async () => assert.equal((await episodeCounts(test.database)).open, 0));
  });

  it("are started once after a crash between start and note", async () => {
    worker.onStart = () => {
      throw new Error("the answer is lost");
    };
    const replica = await replicaWith(patient);
    const [orderId = ""] = await place(replica, 5);
    await eventually(() => assert.ok(startsOf(worker, orderId).length > 0));
    await replica.stop();
    worker.onStart = () => undefined;
    await replicaWith(eager);
    await eventually(async () => assert.equal((await episodeCounts(test.database)).open, 0));
    const starts = startsOf(worker, orderId);
    assert.ok(starts.length > 1);
    const bytes = starts.map((start) => Buffer.from(toBinary(StartEpisodeRequestSchema, start)).toString("hex"));
    assert.equal(new Set(bytes).size, 1);
  });

  it("go together when the worker is back, and show the lag meanwhile", async () => {
    worker.available = false;
    const replica = await replicaWith({ ...eager, DISPATCH_CONCURRENCY: 1 });
    await place(replica, 1);
    await eventually(async () => {
      assert.ok((await metric(replica, "orders_dispatches_total", { outcome: "failed" })) > 0);
    });
    const rest = await place(replica, 10);
    await eventually(async () => assert.ok((await metric(replica, "orders_outbox_lag_seconds")) > 0));
    await eventually(async () => assert.equal(await metric(replica, "orders_due_events"), 10));
    assert.equal((await episodeCounts(test.database)).episodes, 1);
    worker.available = true;
    await eventually(() => assert.ok(rest.every((orderId) => episodesWith(worker, orderId).length === 1)));
    assert.ok(worker.starts.some(({ orders }) => orders.length === 10));
    await eventually(async () => assert.equal(await metric(replica, "orders_outbox_lag_seconds"), 0));
    for (const secret of ["Ada", "Lovelace", "example.com", "Torstra", "10119", "tok_approve"]) {
      assert.ok(!replica.log().includes(secret), secret);
    }
  });

  it("are fewer and larger the longer starting takes, and a start that hangs holds up the next one for a second only", async () => {
    const replica = await replicaWith({ ...eager, DISPATCH_SWEEP_AGE_MS: 600_000 });
    await place(replica);
    let most = 0;
    let underWay = 0;
    worker.onStart = async () => {
      underWay += 1;
      most = Math.max(most, underWay);
      await sleep(200);
      underWay -= 1;
    };
    const placed: string[] = [];
    for (let n = 0; n < 30; n += 1) {
      placed.push(...(await place(replica)));
      await sleep(20);
    }
    await eventually(() => assert.ok(placed.every((orderId) => episodesWith(worker, orderId).length === 1)));
    const episodes = new Set(placed.map((orderId) => lastStart(worker, orderId)?.episodeId)).size;
    assert.ok(episodes < placed.length / 2, `${episodes} episodes`);
    assert.equal(most, 1);
    const gate = Promise.withResolvers<void>();
    worker.onStart = () => gate.promise;
    const [hangs = ""] = await place(replica);
    await eventually(() => assert.equal(startsOf(worker, hangs).length, 1));
    const [next = ""] = await place(replica);
    await eventually(() => assert.equal(startsOf(worker, next).length, 1));
    gate.resolve();
  });

  it("do not let the caller wait for the worker", async () => {
    const gate = Promise.withResolvers<void>();
    worker.onStart = () => gate.promise;
    const replica = await replicaWith(eager);
    await place(replica, 1);
    gate.resolve();
  });

  it("refuse new orders while those that are there wait too long, and take them again after that", async () => {
    worker.available = false;
    const replica = await replicaWith({ ...eager, DISPATCH_CONCURRENCY: 1, ORDER_CONFIRM_WITHIN_MS: 600 });
    await place(replica, 1);
    await eventually(async () => assert.equal((await episodeCounts(test.database)).open, 1));
    await place(replica, 1);
    const refused = await eventually(() => refusal(place(replica, 1)));
    assert.equal(refused.code, Code.ResourceExhausted);
    assert.equal(refused.findDetails(ErrorInfoSchema)[0]?.reason, "OVERLOADED");
    assert.equal(refused.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds, 1n);
    worker.available = true;
    await eventually(() => place(replica, 1));
  });

  it("are not begun while too many are open: orders wait in their rows, new ones are refused, and then go together", async () => {
    const few = { ...eager, EPISODES_OPEN_MAX: 2, EPISODE_SWEEP_AGE_MS: 600_000, ORDER_CONFIRM_WITHIN_MS: 500 };
    const replica = await replicaWith(few);
    const [first] = [await carried(replica), await carried(replica)];
    const waiting = await place(replica, 3);
    await eventually(() => assert.match(replica.log(), /no more episodes are begun/));
    const refused = await eventually(() => refusal(place(replica, 1)));
    assert.equal(refused.findDetails(ErrorInfoSchema)[0]?.reason, "OVERLOADED");
    assert.equal((await episodeCounts(test.database)).episodes, 2);
    // A start whose answer is slow is made again.
    assert.equal(new Set(worker.starts.map(({ episodeId }) => episodeId)).size, 2);
    await settle(replica, first.orderId, first.episodeId);
    const [orderId = ""] = waiting;
    await episodeOf(orderId);
    const together = lastStart(worker, orderId)?.episodeId;
    for (const other of waiting) assert.equal(lastStart(worker, other)?.episodeId, together);
    assert.match(replica.log(), /episodes are begun again/);
  });

  it("have new orders refused while the worker has more than it decides in time, and taken again after that", async () => {
    const one = { ORDER_LIST_MAX: 1, DISPATCH_CONCURRENCY: 1, EPISODES_OPEN_MAX: 10_000 };
    const replica = await replicaWith({ ...eager, ...one, ORDER_CONFIRM_WITHIN_MS: 600 });
    const [first = ""] = await place(replica);
    const [second = ""] = await place(replica);
    const refused = await eventually(() => refusal(place(replica)));
    assert.equal(refused.findDetails(ErrorInfoSchema)[0]?.reason, "OVERLOADED");
    await eventually(async () => assert.deepEqual((await stored(test.database, second)).events, [], "nothing is left"));
    for (const orderId of worker.starts.flatMap(({ orders }) => orders.map((order) => order.orderId))) {
      await settle(replica, orderId, await episodeOf(orderId), { status: OrderStatus.CONFIRMED });
    }
    assert.equal((await stored(test.database, first)).status, "confirmed");
    await eventually(() => place(replica));
  });

  it("are replaced when their workflow is gone, and what a zombie settles is refused", async () => {
    const replica = await replicaWith(eager);
    const { orderId, episodeId } = await carried(replica);
    const other = await carried(replica);
    await report(replica, orderId);
    worker.terminate(episodeId);
    const next = await episodeOf(orderId, 2);
    assert.notEqual(next, episodeId);
    const { order } = lastStart(worker, orderId) ?? {};
    assert.deepEqual(kinds(order?.events ?? []).sort(), ["placed", "retry", "shipment"]);
    assert.equal(await settle(replica, orderId, episodeId, { status: OrderStatus.CONFIRMED }), "EPISODE_OVER");
    assert.equal(await settle(replica, orderId, next, { status: OrderStatus.CONFIRMED }), "CONFIRMED");
    assert.equal(await metric(replica, "orders_given_back_total"), 1);
    assert.match(replica.log(), /the workflow of an order is gone/);
    assert.equal((await stored(test.database, other.orderId)).episodeId, other.episodeId);
    worker.running.delete(other.episodeId);
    await episodeOf(other.orderId, 2);
  });

  it("that are gone give back no order that another one has meanwhile", async () => {
    const replica = await replicaWith({ ...eager, EPISODE_SWEEP_EVERY_MS: 600_000 });
    const { orderId, episodeId } = await carried(replica);
    await report(replica, orderId);
    await settle(replica, orderId, episodeId);
    const next = await episodeOf(orderId, 2);
    assert.notEqual(next, episodeId);
    assert.deepEqual(await giveBack(test.database, episodeId), []);
    assert.equal((await stored(test.database, orderId)).episodeId, next);
  });

  it("are forgotten when all their orders have settled", async () => {
    const replica = await replicaWith(eager);
    const { orderId, episodeId } = await carried(replica);
    await eventually(async () => assert.equal((await episodeCounts(test.database)).open, 0));
    assert.equal((await episodeCounts(test.database)).episodes, 1);
    await settle(replica, orderId, episodeId);
    await eventually(async () => assert.equal((await episodeCounts(test.database)).episodes, 0));
  });

  it("that are refused end the one order that the worker does not take, and no other", async () => {
    worker.onStart = (request) => {
      if (!request.orders.some(({ checkout }) => checkout?.lines.some(({ sku }) => sku === "REFUSED"))) return;
      worker.running.delete(request.episodeId);
      throw sagaRefusal("SAGA_TOO_LARGE", Code.InvalidArgument);
    };
    const replica = await replicaWith({ ...eager, ORDER_REJECT_AFTER_MS: 0 });
    const bad = orderRequest(customerId, { lines: [line("REFUSED", 1, 100n)] });
    const requests = [orderRequest(customerId), { ...bad, waitFor: WaitFor.CONFIRMED }, orderRequest(customerId)];
    const created = await Promise.all(requests.map((request) => replica.orders.createOrder(request)));
    const [fine = "", refused = "", other = ""] = created.map(({ order }) => order?.orderId);
    assert.equal(created[1]?.order?.status, OrderStatus.REJECTED);
    assert.equal(created[1]?.order?.failure?.reason, "NOT_ACCEPTED");
    await eventually(async () => {
      for (const orderId of [fine, other]) {
        const { episodeId = "" } = await stored(test.database, orderId);
        assert.ok(worker.running.has(episodeId));
      }
    });
    assert.deepEqual((await stored(test.database, refused)).cardToken, null);
    const log = (await readAuditLog(test.database)).filter((event) => event.orderId === refused);
    assert.deepEqual(
      log.map(({ action, actor }) => [action, actor]),
      [
        ["order.created", "anonymous"],
        ["order.rejected", "service:orders"],
      ],
    );
  });

  it("that are refused for a while, or for no fault of their orders, are started again", async () => {
    let code = Code.InvalidArgument;
    worker.onStart = () => {
      throw sagaRefusal("SAGA_TOO_LARGE", code);
    };
    const replica = await replicaWith(eager);
    const [orderId = ""] = await place(replica, 1);
    await eventually(() => assert.ok(startsOf(worker, orderId).length > 2));
    code = Code.PermissionDenied;
    const before = worker.starts.length;
    await eventually(() => assert.ok(worker.starts.length > before + 2));
    assert.equal((await stored(test.database, orderId)).status, "pending");
    assert.ok((await metric(replica, "orders_dispatches_total", { outcome: "refused" })) > 2);
    worker.onStart = () => undefined;
    await eventually(async () => assert.equal((await episodeCounts(test.database)).open, 0));
  });

  it("take an order alone with which others failed, wherever it stands among those that are due", async () => {
    const orderIds = await placeUncarried(5);
    const suspect = [orderIds[0], orderIds[2]].map((orderId) => decodeId(orderId ?? ""));
    await test.database.query("update customer_order set faults = 1 where order_id = any($1::uuid[])", [suspect]);
    const episodes = new EpisodeRepository(test.database, personal);
    const sizes: number[] = [];
    for (let next = await claim(episodes, 64); next; next = await claim(episodes, 64)) {
      sizes.push(next.episode.orders.length);
    }
    assert.deepEqual(sizes.toSorted(), [1, 1, 3]);
  });

  it("that are refused are not given up by a replica whose clock is hours ahead", async ({ mock }) => {
    worker.onStart = () => {
      throw sagaRefusal("SAGA_TOO_LARGE", Code.InvalidArgument);
    };
    const replica = await replicaWith({ ...eager, ORDER_REJECT_AFTER_MS: 600_000 });
    mock.timers.enable({ apis: ["Date"], now: Date.now() + 6 * 3_600_000 });
    const [orderId = ""] = await place(replica, 1);
    await eventually(() => assert.ok(startsOf(worker, orderId).length > 2));
    assert.equal((await stored(test.database, orderId)).status, "pending");
  });

  it("take 64 orders at most, and no more bytes than a workflow takes", async () => {
    await placeUncarried(150);
    const lines = Array.from({ length: 100 }, (_, index) => line(`${"X".repeat(60)}${index}`, 1, 1n));
    await placeUncarried(40, { lines });
    const episodes = new EpisodeRepository(test.database, personal);
    const sizes: number[] = [];
    for (let next = await claim(episodes, 64); next; next = await claim(episodes, 64)) {
      sizes.push(next.episode.orders.length);
      assert.ok(next.more || next.episode.orders.length < 64);
    }
    assert.deepEqual(sizes.slice(0, 2), [64, 64]);
    assert.equal(
      sizes.reduce((sum, size) => sum + size),
      190,
    );
    assert.ok(sizes.slice(2).every((size) => size < 50) && sizes.length > 3, String(sizes));
  });

  it("find an order behind any number of events of orders that are carried", async () => {
    await placeUncarried(1);
    const episodes = new EpisodeRepository(test.database, personal);
    const [busy] = (await claim(episodes, 64))?.episode.orders ?? [];
    await test.database.query(
      `insert into order_event (order_id, event_id, kind, due_time)
        select $1, n::text, 'cancellation', now() - interval '1 hour' from generate_series(1, 1100) n`,
      [decodeId(busy?.orderId ?? "")],
    );
    assert.equal(await claim(episodes, 64), undefined);
    const [free] = await placeUncarried(1);
    const claimed = await claim(episodes, 64);
    assert.deepEqual(
      claimed?.episode.orders.map(({ orderId }) => orderId),
      [free],
    );
  });

  it("leave an order alone that is withdrawn while they look, and have it next with its cancellation", async () => {
    const [orderId = ""] = await placeUncarried(1);
    const admin = new pg.Client({ connectionString: test.adminUrl });
    await admin.connect();
    // Whoever looks at events waits for the test.
    await admin.query(`create function may_look() returns boolean language plpgsql volatile as
      $$ begin perform pg_advisory_lock_shared(7), pg_advisory_unlock_shared(7); return true; end $$`);
    await admin.query("create policy looks on order_event using (may_look()) with check (true)");
    await admin.query("alter table order_event enable row level security");
    await admin.query("select pg_advisory_lock(7)");
    const episodes = new EpisodeRepository(test.database, personal);
    const during = claim(episodes, 64);
    const waits = "select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'";
    await eventually(async () => assert.equal((await admin.query(waits)).rowCount, 1));
    const withdrawn = new CancellationRepository(test.database);
    const wish = await withdrawn.wish({ orderId, reason: "too late" });
    assert.equal((await withdrawn.accept(wish)).accepted, true);
    await admin.query("select pg_advisory_unlock(7)");
    assert.equal(await during, undefined);
    await admin.query("alter table order_event disable row level security");
    const [order] = (await claim(episodes, 64))?.episode.orders ?? [];
    assert.deepEqual(order?.events.map(({ kind }) => kind).toSorted(), ["cancellation", "placed"]);
    await admin.query("drop policy looks on order_event");
    await admin.query("drop function may_look");
    await admin.end();
  });

  it("take first what somebody waits for, and with an order whatever happened to it", async () => {
    const [waited = "", packed = "", both = ""] = await placeUncarried(3);
    const happened = (orderId: string, kind: string) =>
      test.database.query("insert into order_event (order_id, event_id, kind) values ($1, $2, $2)", [
        decodeId(orderId),
        kind,
      ]);
    await test.database.query("delete from order_event where order_id = $1", [decodeId(packed)]);
    for (const orderId of [packed, both]) await happened(orderId, "shipment");
    const episodes = new EpisodeRepository(test.database, personal);
    const claimed = async (haste: Haste) =>
      ((await claim(episodes, 64, haste))?.episode.orders ?? []).map(({ orderId, events }) => [
        orderId,
        events.map(({ kind }) => kind).toSorted(),
      ]);
    assert.deepEqual(
      new Map((await claimed("prompt")) as [string, string[]][]),
      new Map([
        [waited, ["placed"]],
        [both, ["placed", "shipment"]],
      ]),
    );
    assert.deepEqual(await claimed("prompt"), []);
    assert.deepEqual(await claimed("relaxed"), [[packed, ["shipment"]]]);
  });

  it("are counted, one by one, whatever becomes of them: who is asked knows the later one by it", async () => {
    const [orderId = ""] = await placeUncarried(1);
    const episodes = new EpisodeRepository(test.database, personal);
    const next = async () => (await claim(episodes, 64))?.episode;
    const first = await next();
    assert.deepEqual(
      first?.orders.map(({ fence }) => fence),
      [1],
    );
    const again = await episodes.repeat({ leaseMs: -1, limit: 64 });
    assert.deepEqual(
      again.flatMap(({ orders }) => orders.map(({ fence }) => fence)),
      [1],
      "the same start",
    );
    assert.equal((await giveBack(test.database, first?.episodeId ?? "")).length, 1);
    const second = await next();
    assert.deepEqual(
      second?.orders.map(({ fence }) => fence),
      [2],
    );
    assert.equal(toStartEpisode(second as Episode, { screens: false, backOrderMaxMs: 0 }).orders[0]?.fence, 2);
    await episodes.takeApart(second as Episode);
    const alone = await episodes.repeat({ leaseMs: -1, limit: 64 });
    assert.deepEqual(
      alone.flatMap(({ orders }) => orders.map((order) => [order.orderId, order.fence])),
      [[orderId, 3]],
    );
  });

  it("cost no index an update while the status stays", async () => {
    await placeUncarried(1);
    const [before, after] = await test.database.transaction(async (tx) => {
      const updates = async () => {
        const [row] = await tx.query<{ all: bigint; hot: bigint }>(
          `select n_tup_upd as all, n_tup_hot_upd as hot from pg_stat_xact_user_tables
            where relname = 'customer_order'`,
        );
        return row ?? { all: 0n, hot: 0n };
      };
      const before = await updates();
      const claimed = await claim(new EpisodeRepository(tx, personal), 64);
      const { episodeId = "", orders = [] } = claimed?.episode ?? {};
      assert.equal(orders.length, 1);
      const request = settlement(orders[0]?.orderId ?? "", episodeId);
      const origin = { actor: "", requestId: "", traceId: "" };
      const [settled] = await settleOrders(tx, [{ ...toSettlement(request), origin }]);
      assert.ok(!(settled instanceof Error));
      return [before, await updates()];
    });
    assert.deepEqual([after.all - before.all, after.hot - before.hot], [2n, 2n]);
  });
});
