import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { durationFromMs, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { type ListParkedOrdersRequest, ParkedStepDecision } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { decodeId, newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { eager, episodesWith, lastStart, patient, settlement, stored } from "./episode-rows.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  eventually,
  metric,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  readNotedLog,
  refusal,
  startReplica,
  unique,
} from "./harness.ts";

function reason(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
}

describe("parked orders", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customers: string[];
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker, { ...eager, EPISODE_SWEEP_AGE_MS: 600_000 });
    customers = [await newCustomer(replica), await newCustomer(replica)];
  });
  after(async () => {
    await replica.stop();
    await test[Symbol.asyncDispose]();
  });

  async function settle(orderId: string, step: string | undefined, why = "CONFLICT"): Promise<void> {
    const { episodeId = "" } = await stored(test.database, orderId);
    const parked = step === undefined ? {} : { parked: { step, reason: why, error: "the last error" } };
    const { outcomes } = await replica.episodes.batchSettleOrders({
      requests: [settlement(orderId, episodeId, parked)],
    });
    assert.equal(outcomes[0]?.outcome.case, "response");
  }

  async function parked(step: string, why?: string, customerId = customers[0] ?? ""): Promise<string> {
    const { order } = await replica.orders.createOrder(orderRequest(customerId));
    const orderId = order?.orderId ?? "";
    await eventually(() => assert.ok(lastStart(worker, orderId)));
    await settle(orderId, step, why);
    return orderId;
  }

  type Filter = Partial<Omit<ListParkedOrdersRequest, "$typeName" | "$unknown">>;
  async function list(filter: Filter = {}): Promise<string[]> {
    const { orders } = await replica.episodes.listParkedOrders(filter);
    return orders.map(({ orderId }) => orderId);
  }

  const decide = (
    orderId: string,
    step: string,
    changes: { requestId?: string; note?: string; retry?: boolean } = {},
  ) =>
    replica.episodes.decideParkedStep(
      {
        requestId: changes.requestId ?? unique("decision"),
        orderId,
        step,
        decision: changes.retry === false ? ParkedStepDecision.RESOLVE : ParkedStepDecision.RETRY,
        note: changes.note ?? "",
      },
      { headers: { baggage: "user.id=u-7" } },
    );

  it("are listed by step, reason, customer and age, the longest waiting first, in pages", async () => {
    const first = await parked("void", "PAYMENT_GONE");
    const second = await parked("ship:BER");
    const third = await parked("ship:MUC", "PAYMENT_GONE", customers[1]);
    const fourth = await parked("shipment", "OTHER");
    assert.deepEqual(await list(), [first, second, third, fourth]);
    assert.deepEqual(await list({ step: "ship" }), [second, third]);
    assert.deepEqual(await list({ step: "ship:BER" }), [second]);
    assert.deepEqual(await list({ reason: "PAYMENT_GONE" }), [first, third]);
    assert.deepEqual(await list({ reason: "PAYMENT_GONE", step: "void" }), [first]);
    assert.deepEqual(await list({ customerId: customers[1] ?? "" }), [third]);
    assert.deepEqual(await list({ olderThan: durationFromMs(3_600_000) }), []);
    await test.database.query(
      "update customer_order set park_time = park_time - interval '2 hours' where order_id = any($1::uuid[])",
      [[second, third].map(decodeId)],
    );
    assert.deepEqual(await list({ olderThan: durationFromMs(3_600_000) }), [second, third]);
    const pages: string[][] = [];
    for (let pageToken = "", more = true; more; more = pageToken !== "") {
      const page = await replica.episodes.listParkedOrders({ pageSize: 2, pageToken });
      pages.push(page.orders.map(({ orderId }) => orderId));
      pageToken = page.nextPageToken;
    }
    assert.deepEqual(pages, [
      [second, third],
      [first, fourth],
    ]);
    const { orders } = await replica.episodes.listParkedOrders({ step: "void" });
    const [shown] = orders;
    assert.deepEqual(
      [shown?.customerId, shown?.step?.step, shown?.step?.reason, shown?.step?.error, shown?.lastEpisodeId],
      [customers[0], "void", "PAYMENT_GONE", "the last error", lastStart(worker, first)?.episodeId],
    );
    await eventually(async () => {
      assert.equal(await metric(replica, "orders_parked", { step: "ship" }), 2);
      assert.ok((await metric(replica, "orders_oldest_parked_seconds", { step: "ship" })) > 7_000);
    });
    assert.match(replica.log(), /a step of an order waits for an operator/);
  });

  it("go on as the operator decides, who is in the audit log with the note", async () => {
    const orderId = await parked("void");
    const requestId = unique("decision");
    const note = "voided by hand in the gateway's console";
    await decide(orderId, "void", { requestId, note, retry: false });
    await decide(orderId, "void", { requestId, note, retry: false });
    await eventually(() => assert.equal(episodesWith(worker, orderId).length, 2));
    assert.deepEqual(
      lastStart(worker, orderId)?.order.events.map(({ event }) => event.value),
      [{ $typeName: "shop.sagas.v1.StepDecided", step: "void", resolved: true, requestId }],
    );
    assert.equal((await stored(test.database, orderId)).parkedStep, null);
    const log = (await readNotedLog(test.database)).filter((event) => event.orderId === orderId).slice(1);
    assert.deepEqual(
      log.map(({ action, actor, requestId: id, details }) => [action, actor, id, details]),
      [["order.step_resolve_requested", "u-7", requestId, { step: "void", note }]],
    );
  });

  it("are decided about only while that very step waits", async () => {
    const orderId = await parked("void");
    assert.equal(reason(await refusal(decide(orderId, "release:BER"))), "STEP_NOT_PARKED");
    assert.equal(reason(await refusal(decide(newId(), "void"))), "ORDER_NOT_FOUND");
    assert.equal((await stored(test.database, orderId)).parkedStep, "void");
    const races = await Promise.allSettled([decide(orderId, "void"), decide(orderId, "void"), decide(orderId, "void")]);
    assert.equal(races.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal(reason(await refusal(decide(orderId, "void"))), "STEP_NOT_PARKED");
    await eventually(() => assert.equal(episodesWith(worker, orderId).length, 2));
  });

  it("take the same request id for another step and another order, and not for another decision", async () => {
    const requestId = "runbook-1";
    const [one, other] = [await parked("void"), await parked("void")];
    await decide(one, "void", { requestId });
    await decide(other, "void", { requestId });
    await eventually(() => assert.equal(episodesWith(worker, one).length, 2));
    await settle(one, "release:BER");
    await decide(one, "release:BER", { requestId });
    await eventually(() => assert.equal(episodesWith(worker, one).length, 3));
    assert.equal(reason(await refusal(decide(one, "void", { requestId, retry: false }))), "REQUEST_ID_REUSED");
  });

  it("are decided about many at a time, each with its own outcome, in one statement", async () => {
    const [one, other, third] = [await parked("void"), await parked("release:BER"), await parked("void")];
    const requestId = unique("many");
    const decision = ParkedStepDecision.RETRY;
    const refs = [
      ...[one, third].map((orderId) => ({ orderId, step: "void" })),
      { orderId: other, step: "void" },
      { orderId: newId(), step: "void" },
    ];
    const requests = refs.map((ref) => ({ ...ref, requestId, decision, note: "the gateway is mended" }));
    const outcomes = async () =>
      (await replica.episodes.batchDecideParkedSteps({ requests })).outcomes.map(({ outcome }) =>
        outcome.case === "failure" ? outcome.value.reason : outcome.case,
      );
    const expected = ["response", "response", "STEP_NOT_PARKED", "ORDER_NOT_FOUND"];
    assert.deepEqual(await outcomes(), expected);
    assert.deepEqual(await outcomes(), expected, "repeated");
    for (const orderId of [one, third]) {
      await eventually(() => assert.equal(episodesWith(worker, orderId).length, 2));
      const log = (await readNotedLog(test.database)).filter((event) => event.orderId === orderId).slice(1);
      assert.deepEqual(
        log.map(({ action, requestId: id, details }) => [action, id, details]),
        [["order.step_retry_requested", requestId, { step: "void", note: "the gateway is mended" }]],
      );
    }
    assert.equal((await stored(test.database, other)).parkedStep, "release:BER");
    const many = requests.map((request) => ({ ...request, decision: ParkedStepDecision.RESOLVE })).slice(0, 1);
    const { outcomes: reused } = await replica.episodes.batchDecideParkedSteps({ requests: many });
    assert.equal(reused[0]?.outcome.case === "failure" && reused[0].outcome.value.reason, "REQUEST_ID_REUSED");
  });

  it("are decided about once under one request id, also when they have to wait again", async () => {
    const requestId = unique("many");
    const reasonOf = "WAITS_AGAIN";
    const orderId = await parked("void", reasonOf);
    const request = { requestId, decision: ParkedStepDecision.RETRY, note: "again", reason: reasonOf };
    const begin = async (changes = {}) => replica.episodes.beginParkedDecisions({ ...request, ...changes });
    const meant = async (parkedBefore: Timestamp | undefined) =>
      (await replica.episodes.listParkedOrders({ reason: reasonOf, parkedBefore })).orders.map(
        (order) => order.orderId,
      );
    const tried = await begin({ dryRun: true });
    assert.deepEqual([tried.matching, tried.waiting], [1, 1]);
    const first = await begin();
    assert.deepEqual([first.matching, first.waiting], [1, 1]);
    assert.deepEqual(await meant(first.parkedBefore), [orderId]);
    await decide(orderId, "void", { requestId });
    await eventually(() => assert.equal(episodesWith(worker, orderId).length, 2));
    await settle(orderId, "void", reasonOf);
    const again = await begin();
    assert.deepEqual([again.parkedBefore, again.matching, again.waiting], [first.parkedBefore, 1, 0]);
    assert.deepEqual(await meant(again.parkedBefore), []);
    await decide(orderId, "void", { requestId });
    assert.equal((await stored(test.database, orderId)).parkedStep, "void");
    for (const changes of [{ note: "else" }, { reason: "OTHER" }, { decision: ParkedStepDecision.RESOLVE }]) {
      assert.equal(reason(await refusal(begin(changes))), "REQUEST_ID_REUSED");
    }
    const older = await begin({ requestId: unique("many"), olderThan: durationFromMs(3_600_000) });
    assert.deepEqual([older.matching, older.waiting], [0, 0]);
    assert.ok(timestampMs(older.parkedBefore as Timestamp) < Date.now() - 3_500_000);
  });
});

describe("a decision about a parked step", () => {
  it("has the order carried at once, by the process that took it, without waiting for a look", async () => {
    await using test = await ordersDatabase();
    const worker = new FakeWorker();
    await using replica = await startReplica(test.database, worker, patient);
    const customerId = await newCustomer(replica);
    const waits: number[] = [];
    for (const _ of Array.from({ length: 5 })) {
      const { order } = await replica.orders.createOrder(orderRequest(customerId));
      const orderId = order?.orderId ?? "";
      await eventually(() => assert.ok(lastStart(worker, orderId)));
      const { episodeId = "" } = await stored(test.database, orderId);
      const parked = { parked: { step: "void", reason: "CONFLICT", error: "no" } };
      await replica.episodes.batchSettleOrders({ requests: [settlement(orderId, episodeId, parked)] });
      const since = performance.now();
      const decision = ParkedStepDecision.RETRY;
      await replica.episodes.decideParkedStep({ requestId: unique("decision"), orderId, step: "void", decision });
      await eventually(() => assert.equal(episodesWith(worker, orderId).length, 2));
      waits.push(performance.now() - since);
    }
    assert.ok(Math.max(...waits) < 5_000, waits.join());
  });

  it("about many is refused, and nothing is done, while more orders wait than can be confirmed in time", async () => {
    await using test = await ordersDatabase();
    const worker = new FakeWorker();
    await using replica = await startReplica(test.database, worker, { ...eager, ORDER_CONFIRM_WITHIN_MS: 200 });
    const customerId = await newCustomer(replica);
    const { order } = await replica.orders.createOrder(orderRequest(customerId));
    const orderId = order?.orderId ?? "";
    await eventually(() => assert.ok(lastStart(worker, orderId)));
    const { episodeId = "" } = await stored(test.database, orderId);
    const parked = { parked: { step: "void", reason: "CONFLICT", error: "no" } };
    await replica.episodes.batchSettleOrders({ requests: [settlement(orderId, episodeId, parked)] });
    const request = { requestId: unique("many"), orderId, step: "void", decision: ParkedStepDecision.RETRY };
    worker.available = false;
    // Each takes a place that no start leaves; what comes after them waits to be claimed.
    await eventually(async () => {
      const placed = replica.orders.createOrder(orderRequest(customerId));
      assert.equal(reason(await refusal(placed)), "OVERLOADED");
    });
    const refused = await refusal(replica.episodes.batchDecideParkedSteps({ requests: [request] }));
    assert.equal(reason(refused), "OVERLOADED");
    assert.equal((await stored(test.database, orderId)).parkedStep, "void");
    await replica.episodes.decideParkedStep(request);
    assert.equal((await stored(test.database, orderId)).parkedStep, null);
  });
});
