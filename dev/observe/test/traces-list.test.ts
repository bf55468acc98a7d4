import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { until } from "#testing/until.ts";
import {
  type JaegerSpan,
  type JaegerTrace,
  linksOf,
  serviceOf,
  tagOf,
  untilSeen,
} from "../../observers/jaeger-query.ts";
import { patient } from "../../testing/processes.ts";
import { deliveredShape } from "./traces-expected.ts";
import { assertShape, TracedStack } from "./traces-stack.ts";

/** The most orders of one saga. */
const full = 64;
/** Lists that are inserted at the same time. */
const lanes = 2;
/** So many are placed at once that a full list is left to wait, however many the first inserts take along. */
const orders = (lanes + 1) * full;

/** Holds the table of orders until a full list waits to be inserted, so that it becomes visible, and is carried, as a whole. */
async function placeTogether(traced: TracedStack): Promise<string[]> {
  const client = new pg.Client({ connectionString: traced.stack.databaseUrl("orders", "postgres") });
  await client.connect();
  try {
    await client.query("begin");
    await client.query("lock table customer_order in share row exclusive mode");
    const placing = Promise.all(Array.from({ length: orders }, () => traced.place()));
    await until(async () => (await waiting(traced)) >= full, "a full list to wait", patient);
    await client.query("commit");
    return await placing;
  } finally {
    await client.end();
  }
}

/** New orders that no insert has taken yet. */
async function waiting(traced: TracedStack): Promise<number> {
  const text = await (await fetch(`${traced.stack.httpUrl("orders")}/metrics`)).text();
  return Number(/^batcher_waiting\{.*batcher="new orders".*\} (\d+)$/m.exec(text)?.[1]);
}

/** The orders of one full saga. */
async function fullSaga(traced: TracedStack): Promise<string[]> {
  const sagas = new Map<string, string[]>();
  for (const orderId of await placeTogether(traced)) {
    const { sagaId } = await traced.shopper.get(orderId);
    sagas.set(sagaId, [...(sagas.get(sagaId) ?? []), orderId]);
  }
  const sizes = [...sagas.values()].map(({ length }) => length);
  const saga = [...sagas.values()].find(({ length }) => length === full);
  assert.ok(saga, `no list of ${full}; there are ${sizes.join(", ")}`);
  return saga;
}

describe("one order among 64 in one list", () => {
  let traced: TracedStack;
  let orderIds: string[];
  let trace: JaegerTrace;
  before(async () => {
    // Nothing happens to an order before it was looked at.
    traced = await TracedStack.start({
      environment: { simulators: { PACKING_MS: "15000" }, orders: { ORDER_INSERT_LANES: String(lanes) } },
    });
    orderIds = await fullSaga(traced);
    for (const orderId of orderIds) await traced.reaches(orderId, OrderStatus.DELIVERED);
    trace = await traced.trace(orderIds[40] ?? "", deliveredShape);
  });
  after(() => traced?.stop());

  test("has its own steps in its own trace, as if it were alone", async () => {
    await assertShape(traced, orderIds[40] ?? "", deliveredShape);
  });

  test("has nothing of another order in it", () => {
    const others = new Set(trace.spans.map((span) => tagOf(span, "order.id")).filter((id) => id !== undefined));
    assert.deepEqual([...others], [orderIds[40]]);
  });

  test("each step is linked to the list that it was done in, and that list to its orders", async () => {
    const steps = trace.spans.filter((span) => tagOf(span, "ordermesh.step") === "reserve");
    assert.equal(steps.length, 1);
    const step = steps[0] as JaegerSpan;
    assert.equal(tagOf(step, "ordermesh.list.size"), full);
    const [link] = linksOf(step);
    assert.ok(link, "the step has no link");
    const list = await untilSeen(
      () => traced.jaeger.trace(link.traceID),
      ({ spans }) => spans.some(({ spanID }) => spanID === link.spanID),
      20_000,
    );
    const span = list.spans.find(({ spanID }) => spanID === link.spanID) as JaegerSpan;
    assert.equal(serviceOf(list, span), "worker");
    const linkedTraces = new Set(list.spans.flatMap((each) => linksOf(each).map(({ traceID }) => traceID)));
    assert.ok(linkedTraces.has(trace.traceID), "the list is not linked to the order");
    assert.ok(linkedTraces.size >= full, `the list is linked to ${linkedTraces.size} traces`);
  });
});
