import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { Worker } from "@temporalio/worker";
import { EpisodeState } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";
import { until } from "#testing/until.ts";
import { StepSpans } from "../../src/activities/step-spans.ts";
import { traceSinks } from "../../src/temporal/tracing.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { dataConverter } from "../stage/encryption.ts";
import { bundleOf } from "../stage/harness.ts";
import { patient, Stage } from "../stage/stage.ts";
import { batchesOf, dispatched, orderOf, parentOf, stepsOf, tasksOf, told, traceOf } from "../stage/traces.ts";
import { on, type Rule } from "../world/rules.ts";

let stage: Stage;
let kept: KeptSpans;
before(async () => {
  stage = await Stage.open({}, {}, { around: dispatching });
  kept = await keepSpans();
});
after(async () => {
  await stage?.close();
  await kept?.stop();
});
afterEach(() => {
  kept.reset();
  stage.world.traceparents.splice(0);
});

/** Starts an episode in a trace of its own, as the orders service does. */
function dispatching<T>(orderIds: string[], start: () => Promise<T>): Promise<T> {
  return dispatched(
    orderIds.map((orderId) => theStage().rows.row(orderId).order),
    start,
  );
}

/** The stage that runs: some tests have one of their own. */
let own: Stage | undefined;
const theStage = () => own ?? stage;

/** Longer than a trace goes on, in milliseconds. */
const hours = 5 * 3_600_000;

/** One settlement for each episode: the checkout, the departure, the arrival. */
const steps = [
  "reserve",
  "authorize",
  "confirm",
  "prepare",
  "settle",
  "ship",
  "capture",
  "commit",
  "settle",
  "deliver",
];
const allDone = steps.map((step) => `${step} done`);

function batchOf(size: number, isTraced: (index: number) => boolean = () => true): SagaOrder[] {
  return Array.from({ length: size }, (_, index) => orderOf({ traced: isTraced(index) }));
}

async function run(orders: SagaOrder[], rules: Rule[] = []): Promise<string[]> {
  const ends = await stage.run(orders, rules);
  // The spans of what is told last end after what it did.
  await until(() => kept.all().length > 0 || orders.every(({ traceparent }) => traceparent === ""), "spans", patient);
  await until(ended, "the workflows have ended", patient);
  return ends;
}

/** Whether all episodes are over: a workflow ends after its orders rest. */
async function ended(): Promise<boolean> {
  const looks = await stage.starter.episodes.look(stage.starter.started.map(({ episodeId }) => episodeId));
  return looks.every(({ state }) => state === EpisodeState.CLOSED);
}

function toldOf(order: SagaOrder): string[] {
  return stepsOf(kept.all(), order).map(told);
}

describe("a batch of one order", () => {
  test("is traced where the order is: its steps, its batches, its workflow tasks", async () => {
    const [order] = batchOf(1) as [SagaOrder];
    await run([order]);
    assert.deepEqual(toldOf(order), allDone);
    const spans = kept.all();
    assert.deepEqual([...new Set(spans.map((span) => span.spanContext().traceId))], [traceOf(order)]);
    const starts = spans.filter(({ name }) => name === "temporal start");
    assert.equal(starts.length, 3);
    for (const start of starts) assert.equal(parentOf(spans, start)?.name, "dispatch");
    for (const span of [...batchesOf(spans), ...tasksOf(spans)]) {
      assert.ok(starts.includes(parentOf(spans, span) as ReadableSpan), span.name);
    }
    for (const step of stepsOf(spans, order)) {
      assert.equal(parentOf(spans, step)?.name, "CreateOrder");
      const [link, ...others] = step.links;
      const linked = spans.find((span) => span.spanContext().spanId === link?.context.spanId);
      assert.ok(linked && batchesOf(spans).includes(linked), `${step.name} is not linked to a batch`);
      assert.deepEqual(others, []);
    }
    assert.ok(batchesOf(spans).every(({ links }) => links.length === 0));
    const began = tasksOf(spans).filter(({ attributes }) =>
      String(attributes["temporal.jobs"]).includes("initializeWorkflow"),
    );
    assert.equal(began.length, 3);
    for (const task of tasksOf(spans)) {
      assert.equal(task.attributes["saga.id"], parentOf(spans, task)?.attributes["saga.id"]);
    }
  });

  test("has the span of its step go along with each call", async () => {
    const [order] = batchOf(1) as [SagaOrder];
    await run([order]);
    const ids = new Map(stepsOf(kept.all(), order).map((span) => [span.spanContext().spanId, span.name]));
    const calls = stage.world.traceparents.map(({ method, traceparents }) => {
      assert.equal(traceparents.length, 1, method);
      return `${ids.get(traceparents[0]?.slice(36, 52) ?? "")} ${method}`;
    });
    assert.deepEqual(calls, [
      ...["reserve BatchReserveStock", "authorize BatchAuthorizePayments"],
      ...["confirm BatchConfirmReservations", "confirm BatchTransitionOrders"],
      ...["prepare BatchCreateShipments", "settle BatchSettleOrders", "ship BatchBookShipments"],
      ...["capture BatchCapturePayments", "commit BatchCommitReservations", "settle BatchSettleOrders"],
      "deliver BatchSettleOrders",
    ]);
  });

  test("leaves no trace, and nothing in its history, when its trace is not kept", async () => {
    const [order] = batchOf(1, () => false) as [SagaOrder];
    await run([order]);
    assert.deepEqual(
      kept.all().map(({ name }) => name),
      [],
    );
    assert.ok(stage.world.traceparents.every(({ traceparents }) => traceparents.length === 0));
    for (const { episodeId } of stage.starter.started.filter(({ orderIds }) => orderIds.includes(order.orderId))) {
      const history = await stage.workflow(episodeId).fetchHistory();
      assert.ok(!JSON.stringify(history).includes("_tracer-data"));
    }
  });

  test("is not traced again when it is replayed", async () => {
    const [order] = batchOf(1) as [SagaOrder];
    await run([order]);
    const before = kept.all().length;
    for (const { episodeId } of stage.starter.started.slice(-3)) {
      const history = await stage.workflow(episodeId).fetchHistory();
      await Worker.runReplayHistory({ workflowBundle: await bundleOf(), dataConverter, sinks: traceSinks }, history);
    }
    assert.equal(kept.all().length, before);
  });

  test("is traced once although its workflow is replayed at every turn", async () => {
    own = await Stage.open({}, { maxCachedWorkflows: 0 }, { around: dispatching });
    try {
      const [order] = batchOf(1) as [SagaOrder];
      await own.run([order], [on("authorize", { kind: "unavailable" }, { ...order, times: 1 })]);
      const { episodeId } = own.starter.started[0] ?? { episodeId: "" };
      await own.workflow(episodeId).result();
      const tasks = tasksOf(kept.all()).filter(({ attributes }) => attributes["saga.id"] === episodeId);
      const began = tasks.filter(({ attributes }) =>
        String(attributes["temporal.jobs"]).includes("initializeWorkflow"),
      );
      assert.equal(began.length, 1);
      const lengths = tasks.map(({ attributes, startTime }) => `${startTime} ${attributes["temporal.history.length"]}`);
      assert.equal(new Set(lengths).size, tasks.length);
      assert.ok(tasks.length > 1);
    } finally {
      await own.close();
      own = undefined;
    }
  });

  test("that is refused says why, and what was undone", async () => {
    const [order] = batchOf(1) as [SagaOrder];
    await run([order], [on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, order)]);
    const undone = ["void done", "release done", "settle done"];
    assert.deepEqual(toldOf(order), ["reserve done", "authorize refused PAYMENT_DECLINED", ...undone]);
  });

  test("shows each attempt, and what is not decided", async () => {
    const [order] = batchOf(1) as [SagaOrder];
    await run(
      [order],
      [
        on("authorize", { kind: "unavailable" }, { ...order, times: 1 }),
        on("capture", { kind: "unavailable" }, { ...order, times: 1 }),
        on("capture", { kind: "pending" }, { ...order, times: 2 }),
      ],
    );
    const of = (step: string) => toldOf(order).filter((line) => line.startsWith(step));
    assert.deepEqual(of("authorize"), ["authorize failed Unavailable", "authorize done (attempt 2)"]);
    assert.deepEqual(of("capture"), [...["capture failed Unavailable", "capture pending (attempt 2)", "capture done"]]);
  });

  test("goes on in the trace that it comes with, however old the order is", async () => {
    const order = orderOf({ traced: true, ageMs: hours });
    await run([order]);
    assert.deepEqual(toldOf(order), allDone);
    assert.deepEqual([...new Set(kept.all().map((span) => span.spanContext().traceId))], [traceOf(order)]);
  });

  test("goes on in new traces, linked to the first one, when its workflow was begun hours ago", () => {
    const order = orderOf({ traced: true });
    const sagaId = orderOf({ traced: false, ageMs: hours }).orderId;
    const { traceparent } = order;
    const facts = { activity: "capturePayment", sagaId, attempt: 1, local: false, workflowTrace: traceparent } as const;
    const spans = new StepSpans({ ...facts, entries: [order], traceparents: [traceparent], labelOf: () => "capture" });
    spans.end([{ kind: "done", value: null }]);
    assert.equal(toldOf(order).length, 1);
    for (const span of kept.all().filter(({ name }) => name !== "CreateOrder")) {
      assert.notEqual(span.spanContext().traceId, traceOf(order));
      assert.equal(span.parentSpanContext, undefined);
      assert.ok(span.links.some(({ context }) => context.traceId === traceOf(order)));
    }
  });
});

describe("a batch of many orders", () => {
  test("has a trace of its own, and each order that is traced has its steps in its own", async () => {
    const orders = batchOf(64, (index) => index % 20 === 3);
    const traced = orders.filter(({ traceparent }) => traceparent !== "");
    const [first, declined, last] = traced as [SagaOrder, SagaOrder, SagaOrder, SagaOrder];
    await run(orders, [on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, declined)]);
    assert.equal(traced.length, 4);
    for (const order of [first, last]) assert.deepEqual(toldOf(order), allDone);
    assert.deepEqual(toldOf(declined).slice(0, 2), ["reserve done", "authorize refused PAYMENT_DECLINED"]);
    const spans = kept.all();
    const dispatches = spans.filter(({ name }) => name === "dispatch");
    for (const span of [...batchesOf(spans), ...tasksOf(spans)]) {
      const traceIds = dispatches.map((dispatch) => dispatch.spanContext().traceId);
      assert.ok(traceIds.includes(span.spanContext().traceId), span.name);
    }
    for (const order of traced) {
      for (const step of stepsOf(spans, order)) assert.equal(step.spanContext().traceId, traceOf(order));
    }
    const reserve = batchesOf(spans).find(({ name }) => name === "reserveStock");
    assert.equal(reserve?.attributes["ordermesh.list.size"], 64);
    assert.deepEqual(
      reserve?.links.map(({ context }) => context.traceId),
      traced.map(traceOf),
    );
    assert.equal(stepsOf(spans, first)[0]?.attributes["ordermesh.list.size"], 64);
  });

  test("sends each entry's own trace context, at the entry's place", async () => {
    const orders = batchOf(8, (index) => index === 2 || index === 5);
    await run(orders);
    const { traceparents } = stage.world.traceparents.find(({ method }) => method === "BatchReserveStock") ?? {};
    const expected = orders.map((order) => (order.traceparent ? traceOf(order) : ""));
    assert.deepEqual(
      traceparents?.map((traceparent) => traceparent.slice(3, 35)),
      expected,
    );
  });

  test("shows how the entry that poisons it was found", async () => {
    const orders = batchOf(4, (index) => index >= 2);
    const [, , healthy, poison] = orders as [SagaOrder, SagaOrder, SagaOrder, SagaOrder];
    await run(orders, [on("authorize", { kind: "invalid" }, { ...poison, times: 3 })]);
    const sizes = (order: SagaOrder) =>
      stepsOf(kept.all(), order)
        .filter(({ name }) => name === "authorize")
        .map((span) => `${told(span)} of ${span.attributes["ordermesh.list.size"]}`);
    const failed = "authorize failed InvalidArgument";
    assert.deepEqual(sizes(healthy), [`${failed} of 4`, `${failed} of 2`, "authorize done of 1"]);
    assert.deepEqual(sizes(poison).slice(0, 3), [`${failed} of 4`, `${failed} of 2`, `${failed} of 1`]);
    assert.match(sizes(poison)[3] ?? "", /^authorize done of /);
  });
});
