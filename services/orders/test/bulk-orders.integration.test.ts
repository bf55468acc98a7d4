// Many orders of one call: each has its own outcome, none is there twice.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, type HandlerContext } from "@connectrpc/connect";
import { type Order, OrderStatus, PriceAdjustmentKind } from "#gen/shop/orders/v1/order_pb.js";
import {
  BulkCreateOrdersRequestSchema,
  BulkCreateOrdersResponseSchema,
  type CreateOrderOutcome,
  type CreateOrderRequest,
  WaitFor,
} from "#gen/shop/orders/v1/order_service_pb.js";
import type { Failure } from "#gen/shop/type/v1/failure_pb.js";
import { deadlinePassed } from "#platform/batch/batch-queue.ts";
import type { SubmitOptions } from "#platform/batch/batcher.ts";
import { withContext } from "#platform/context.ts";
import { newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { BulkOrders } from "../src/api/bulk-orders.ts";
import type { OrderIntake } from "../src/order/order-intake.ts";
import { eager } from "./episode-rows.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  adjustedRequest,
  adjustment,
  line,
  metric,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  refusal,
  startReplica,
} from "./harness.ts";

const most = 1_000;

function orderOf({ outcome }: CreateOrderOutcome): Order | undefined {
  return outcome.case === "response" ? outcome.value.order : undefined;
}

function failureOf({ outcome }: CreateOrderOutcome): Failure | undefined {
  return outcome.case === "failure" ? outcome.value : undefined;
}

/** What became of each entry: `ok`, the reason, or the code with the fields that are wrong. */
function told(outcomes: readonly CreateOrderOutcome[]): string[] {
  return outcomes.map((outcome) => {
    const failure = failureOf(outcome);
    if (!failure) return orderOf(outcome) ? "ok" : "nothing";
    const fields = failure.fieldViolations.map(({ field }) => field);
    return failure.reason || `${Code[failure.code]} ${fields.join(" ")}`;
  });
}

describe("many orders of one call", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker);
    customerId = await newCustomer(replica);
  });
  after(async () => {
    await replica.stop();
    await test[Symbol.asyncDispose]();
  });

  async function outcomesOf(requests: CreateOrderRequest[], of = replica): Promise<CreateOrderOutcome[]> {
    return (await of.orders.bulkCreateOrders({ requests })).outcomes;
  }

  /** How many orders there are, and keys of creations. */
  async function stored(): Promise<[orders: number, keys: number]> {
    const [row] = await test.database.query<{ orders: number; keys: number }>(
      `select (select count(*)::int from customer_order) as orders,
        (select count(*)::int from idempotency_key where method like 'CreateOrder%') as keys`,
    );
    assert.ok(row);
    return [row.orders, row.keys];
  }

  it("gives each its outcome: what is wrong with one does not touch the others", async () => {
    const good = () => orderRequest(customerId);
    const used = good();
    await replica.orders.createOrder(used);
    const at = (change: (address: NonNullable<CreateOrderRequest["shippingAddress"]>) => void) => {
      const request = good();
      if (request.shippingAddress) change(request.shippingAddress);
      return request;
    };
    const cases: [CreateOrderRequest, string][] = [
      [good(), "ok"],
      [orderRequest(newId()), "CUSTOMER_NOT_FOUND"],
      [orderRequest(customerId, { cardToken: "4111111111111111" }), "InvalidArgument requests[2].card_token"],
      [at((address) => (address.city = "4111 1111 1111 1111")), "InvalidArgument requests[3].shipping_address.city"],
      [at((address) => (address.lines = ["a\u0000"])), "InvalidArgument requests[4].shipping_address.lines[0]"],
      [good(), "ok"],
      [orderRequest(customerId, { lines: [line("A", 1, 1n), line("B", 1, 1n, "USD")] }), "CURRENCY_MISMATCH"],
      [orderRequest(customerId, { lines: [line("A", 2, 600_000_000_000n)] }), "TOTAL_TOO_LARGE"],
      [orderRequest(customerId, { waitFor: WaitFor.CONFIRMED }), "InvalidArgument requests[8].wait_for"],
      [{ ...used, cardToken: "tok_decline" }, "REQUEST_ID_REUSED"],
      [
        orderRequest("no id", { requestId: "", lines: [line("?", 0, 1n)] }),
        "InvalidArgument requests[10].request_id requests[10].customer_id requests[10].lines[0].sku requests[10].lines[0].quantity",
      ],
      [orderRequest(customerId, { waitFor: WaitFor.ACCEPTED }), "ok"],
      [adjustedRequest(customerId, { adjustments: [] }), "TOTAL_MISMATCH"],
      [
        adjustedRequest(customerId, { adjustments: [adjustment(PriceAdjustmentKind.DISCOUNT, 1n)] }),
        "InvalidArgument requests[13].adjustments[0]",
      ],
      [adjustedRequest(customerId), "ok"],
    ];
    const [orders, keys] = await stored();
    const outcomes = await outcomesOf(cases.map(([request]) => request));
    assert.deepEqual(
      told(outcomes),
      cases.map(([, expected]) => expected),
    );
    assert.deepEqual(await stored(), [orders + 4, keys + 4], "only the good ones are there");
    for (const failure of outcomes.flatMap((outcome) => failureOf(outcome) ?? [])) {
      assert.equal(failure.retryDelay, undefined, "a repetition alone will not help");
      assert.notEqual(failure.message, "");
    }
    const metadata = outcomes.map((outcome) => failureOf(outcome)?.metadata);
    assert.deepEqual(metadata[7], { maximum: "1000000000000" });
    assert.deepEqual(metadata[12], { total: "4935", sum: "4510", currency: "EUR" });
  });

  it("answers 1,000 in the order of the requests, inserted by a statement for many, and each as a single call does", async () => {
    const requests = Array.from({ length: most }, (_, index) =>
      orderRequest(customerId, { lines: [line(`SKU-${index}`, 1, 100n)] }),
    );
    const [created, statements] = [await metric(replica, "orders_created_total"), await insertsOf(replica)];
    const outcomes = await outcomesOf(requests);
    const orders = outcomes.flatMap((outcome) => orderOf(outcome) ?? []);
    assert.deepEqual(
      orders.map(({ lines }) => lines[0]?.sku),
      requests.map(({ lines }) => lines[0]?.sku),
    );
    assert.equal((await metric(replica, "orders_created_total")) - created, most);
    const took = (await insertsOf(replica)) - statements;
    assert.ok(took <= 32, `${took} statements`);
    const [first] = orders;
    const { order } = await replica.orders.getOrder({ orderId: first?.orderId ?? "" });
    assert.deepEqual({ ...order, sagaId: "" }, { ...first, sagaId: "" });
    const ids = new Set(orders.map(({ orderId }) => orderId));
    const log = (await readAuditLog(test.database)).filter(({ orderId }) => ids.has(orderId));
    const audited = log.filter(({ action }) => action === "order.created");
    assert.deepEqual(
      new Set(audited.map(({ requestId }) => requestId)),
      new Set(requests.map(({ requestId }) => requestId)),
    );

    const again = await outcomesOf(requests);
    assert.deepEqual(
      again.map((outcome) => orderOf(outcome)?.orderId),
      orders.map(({ orderId }) => orderId),
    );
    assert.equal((await metric(replica, "orders_created_total")) - created, most);
  });

  /** How many statements inserted orders. */
  async function insertsOf({ registry }: Replica): Promise<number> {
    const found = await registry.getSingleMetric("orders_list_size")?.get();
    return (
      found?.values.find((value) => "metricName" in value && value.metricName === "orders_list_size_count")?.value ?? 0
    );
  }

  it("makes one order of one request id, in one call and in calls of both kinds, as it stands now", async () => {
    const twice = orderRequest(customerId);
    const other = orderRequest(customerId, { requestId: twice.requestId, lines: [line("OTHER", 1, 1n)] });
    const beside = Array.from({ length: 200 }, () => orderRequest(customerId));
    const others = orderRequest(await newCustomer(replica), { requestId: twice.requestId });
    const outcomes = await outcomesOf([twice, ...beside, twice, other, others]);
    assert.deepEqual(told([...outcomes.slice(0, 1), ...outcomes.slice(-3)]), ["ok", "ok", "REQUEST_ID_REUSED", "ok"]);
    const ids = [outcomes[0], outcomes.at(-3)].map((outcome) => outcome && orderOf(outcome)?.orderId);
    assert.equal(new Set(ids).size, 1);
    assert.notEqual(outcomes.map(orderOf).at(-1)?.orderId, ids[0], "another customer has ids of its own");
    const [orderId = ""] = ids;
    assert.equal((await replica.orders.createOrder(twice)).order?.orderId, orderId);

    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status: OrderStatus.CONFIRMED }] });
    const single = orderRequest(customerId);
    const { order } = await replica.orders.createOrder(single);
    const again = await outcomesOf([twice, single]);
    assert.deepEqual(
      again.map((outcome) => orderOf(outcome)?.status),
      [OrderStatus.CONFIRMED, OrderStatus.PENDING],
    );
    assert.equal(again.map(orderOf)[1]?.orderId, order?.orderId);
  });

  it("refuses a call of none and of too many, and one with a trace context that is none", async () => {
    const requests = Array.from({ length: most + 1 }, () => orderRequest(customerId));
    const before = await stored();
    const calls = [{ requests: [] }, { requests }, { requests: requests.slice(0, 1), traceparents: ["x".repeat(65)] }];
    for (const call of calls)
      assert.equal((await refusal(replica.orders.bulkCreateOrders(call))).code, Code.InvalidArgument);
    assert.deepEqual(await stored(), before);
  });

  it("says of what it cannot take now when to come back", async () => {
    await using stopped = await startReplica(test.database, worker);
    await stopped.stop();
    const bad = orderRequest(customerId, { cardToken: "none" });
    const outcomes = await outcomesOf([orderRequest(customerId), bad], stopped);
    assert.deepEqual(told(outcomes), ["UNAVAILABLE", "InvalidArgument requests[1].card_token"]);
    const [first, second] = outcomes.map(failureOf);
    assert.ok((first?.retryDelay?.nanos ?? 0) > 0);
    assert.equal(second?.retryDelay, undefined);

    // One episode is open for ever, so that the order after it waits for too long, and those that come then are refused.
    await using own = await ordersDatabase();
    const few = { ...eager, EPISODES_OPEN_MAX: 1, EPISODE_SWEEP_AGE_MS: 600_000, ORDER_CONFIRM_WITHIN_MS: 100 };
    await using busy = await startReplica(own.database, worker, few);
    const somebody = await newCustomer(busy);
    const refused = await until(async () => {
      const outcomes = await outcomesOf([orderRequest(somebody), orderRequest(somebody)], busy);
      return outcomes.every(failureOf) && outcomes;
    }, "orders are refused");
    assert.deepEqual(told(refused), ["OVERLOADED", "OVERLOADED"]);
    for (const outcome of refused) {
      const failure = failureOf(outcome);
      assert.equal(failure?.code, Code.ResourceExhausted);
      assert.equal(failure?.retryDelay?.seconds, 1n);
      assert.deepEqual(failure?.metadata, { queue: "orders to be carried" });
    }
  });

  it("tells as many as fit into a message, and has the others asked for again", async () => {
    await using narrow = await startReplica(test.database, worker, { MAX_MESSAGE_BYTES: 16_384 });
    const requests = Array.from({ length: 60 }, () => orderRequest(customerId));
    const orders = new Map<string, string>();
    let calls = 0;
    for (let open = requests; open.length > 0; calls += 1) {
      const response = await narrow.orders.bulkCreateOrders({ requests: open });
      assert.ok(toBinary(BulkCreateOrdersResponseSchema, response).length <= 16_384);
      const left = open.filter((_, index) => failureOf(response.outcomes[index] as CreateOrderOutcome));
      assert.ok(left.length < open.length, "each call brings it on");
      for (const outcome of response.outcomes) {
        const failure = failureOf(outcome);
        if (failure) assert.deepEqual([failure.reason, failure.retryDelay?.seconds], ["ANSWER_TOO_LARGE", 0n]);
      }
      for (const [index, { requestId }] of open.entries()) {
        const order = orderOf(response.outcomes[index] as CreateOrderOutcome);
        if (order) orders.set(requestId, order.orderId);
      }
      open = left;
    }
    assert.ok(calls > 1);
    assert.equal(new Set(orders.values()).size, requests.length);
  });

  it("keeps each order's own trace, or that of the call", async () => {
    const traceOf = (digit: string) => `00-${digit.repeat(32)}-${"b".repeat(16)}-01`;
    const requests = Array.from({ length: 3 }, () => orderRequest(customerId));
    const kept = async (outcomes: CreateOrderOutcome[]) => {
      const ids = outcomes.map((outcome) => orderOf(outcome)?.orderId ?? "");
      const log = await readAuditLog(test.database);
      return ids.map((id) => log.find(({ orderId }) => orderId === id)?.traceId);
    };
    const { outcomes } = await replica.orders.bulkCreateOrders(
      { requests: requests.slice(0, 2) },
      { headers: { traceparent: traceOf("c") } },
    );
    assert.deepEqual(await kept(outcomes), ["c".repeat(32), "c".repeat(32)]);
    // This process makes no spans, so that the entries' own traces are for those that do.
    const own = await replica.orders.bulkCreateOrders(
      { requests: requests.slice(2), traceparents: [traceOf("a")] },
      { headers: { traceparent: traceOf("c") } },
    );
    assert.deepEqual(await kept(own.outcomes), [""]);
  });

  it("gives up before the call's deadline what was not begun", async () => {
    const deadlines: (number | undefined)[] = [];
    const accept = async (_: unknown, patience?: SubmitOptions) => {
      deadlines.push(patience?.deadline);
      throw deadlinePassed();
    };
    const intake = { width: 2, accept } as unknown as OrderIntake;
    const bulk = new BulkOrders({ intake, repository: { find: async () => [] }, maxMessageBytes: 1_000_000 });
    const request = create(BulkCreateOrdersRequestSchema, {
      requests: [orderRequest(customerId), orderRequest(customerId)],
    });
    const deadline = Date.now() + 10_000;
    const context = { protocolName: "grpc" } as HandlerContext;
    const outcomes = await withContext({ deadline }, () => bulk.create(request, context));
    assert.deepEqual(told(outcomes), ["DeadlineExceeded ", "DeadlineExceeded "]);
    for (const each of deadlines) assert.ok(each !== undefined && each <= deadline - 500, `${each} ${deadline}`);
  });
});
