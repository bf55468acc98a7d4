import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { Worker } from "@temporalio/worker";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";
import { traceSinks } from "../../src/temporal/tracing.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { bundleOf } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import { batchesOf, dispatched, orderOf, parentOf, stepsOf, tasksOf, told, traceOf } from "../stage/traces.ts";
import { on, type Rule } from "../world/rules.ts";

let stage: Stage;
let kept: KeptSpans;
before(async () => {
  stage = await Stage.open();
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

const steps = [
  "reserve",
  "authorize",
  "confirm",
  "prepare",
  "ship",
  "capture",
  "commit",
  "transition",
  "look",
  "deliver",
];
const allDone = steps.map((step) => `${step} done`);

function batchOf(size: number, isTraced: (index: number) => boolean = () => true): SagaOrder[] {
  return Array.from({ length: size }, (_, index) => orderOf({ traced: isTraced(index) }));
}

function run(orders: SagaOrder[], rules: Rule[] = []): Promise<string[]> {
  return dispatched(orders, () => stage.run(orders, rules));
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
    const start = kept.one("temporal start");
    assert.equal(parentOf(spans, start)?.name, "dispatch");
    for (const span of [...batchesOf(spans), ...tasksOf(spans)]) assert.equal(parentOf(spans, span), start, span.name);
    for (const step of stepsOf(spans, order)) {
      assert.equal(parentOf(spans, step)?.name, "CreateOrder");
      const [link, ...others] = step.links;
      const linked = spans.find((span) => span.spanContext().spanId === link?.context.spanId);
      assert.ok(linked && batchesOf(spans).includes(linked), `${step.name} is not linked to a batch`);
      assert.deepEqual(others, []);
    }
    assert.ok(batchesOf(spans).every(({ links }) => links.length === 0));
    const [task] = tasksOf(spans);
    assert.deepEqual(task?.attributes["temporal.jobs"], ["initializeWorkflow"]);
    assert.equal(task?.attributes["saga.id"], start.attributes["saga.id"]);
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
      ...["prepare BatchTransitionOrders", "prepare BatchCreateShipments", "ship BatchBookShipments"],
      ...["capture BatchCapturePayments", "commit BatchCommitReservations", "transition BatchTransitionOrders"],
      ...["look BatchGetShipments", "deliver BatchTransitionOrders"],
    ]);
  });

  test("leaves no trace, and nothing in its history, when its trace is not kept", async () => {
    const [order] = batchOf(1, () => false) as [SagaOrder];
    const handle = await dispatched([order], () => stage.start([order]));
    await handle.result();
    assert.deepEqual(
      kept.all().map(({ name }) => name),
      [],
    );
    assert.ok(stage.world.traceparents.every(({ traceparents }) => traceparents.length === 0));
    const history = JSON.stringify(await handle.fetchHistory());
    assert.ok(!history.includes("_tracer-data"));
    assert.ok(!Buffer.from(JSON.stringify(await inputs(handle))).includes("traceparents"));
  });

  test("is not traced again when it is replayed", async () => {
    const [order] = batchOf(1) as [SagaOrder];
    const handle = await dispatched([order], () => stage.start([order]));
    await handle.result();
    const before = kept.all().length;
    const history = await handle.fetchHistory();
    await Worker.runReplayHistory({ workflowBundle: await bundleOf(), sinks: traceSinks }, history);
    assert.equal(kept.all().length, before);
  });

  test("is traced once although its workflow is replayed at every turn", async () => {
    const forgetful = await Stage.open({ maxCachedWorkflows: 0 });
    try {
      const [order] = batchOf(1) as [SagaOrder];
      await dispatched([order], () => forgetful.run([order]));
      assert.deepEqual(toldOf(order), allDone);
      const tasks = tasksOf(kept.all());
      const began = tasks.filter(({ attributes }) =>
        String(attributes["temporal.jobs"]).includes("initializeWorkflow"),
      );
      assert.equal(began.length, 1);
      const lengths = tasks.map(({ attributes, startTime }) => `${startTime} ${attributes["temporal.history.length"]}`);
      assert.equal(new Set(lengths).size, tasks.length);
    } finally {
      await forgetful.close();
    }
  });

  test("that is refused says why, and what was undone", async () => {
    const [order] = batchOf(1) as [SagaOrder];
    await run([order], [on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, order)]);
    const undone = ["void done", "release done", "transition done"];
    assert.deepEqual(toldOf(order), ["reserve done", "authorize refused PAYMENT_DECLINED", ...undone]);
  });

  test("shows each attempt, and what is not decided", async () => {
    const [order] = batchOf(1) as [SagaOrder];
    await run(
      [order],
      [
        on("authorize", { kind: "unavailable" }, { ...order, times: 1 }),
        on("capture", { kind: "unavailable" }, { ...order, times: 2 }),
        on("capture", { kind: "pending" }, { ...order, times: 3 }),
      ],
    );
    const of = (step: string) => toldOf(order).filter((line) => line.startsWith(step));
    assert.deepEqual(of("authorize"), ["authorize failed Unavailable", "authorize done (attempt 2)"]);
    assert.deepEqual(of("capture"), [
      ...["capture failed Unavailable", "capture failed Unavailable (attempt 2)", "capture pending (attempt 3)"],
      "capture done",
    ]);
  });

  test("goes on in new traces, linked to the first one, when it goes on after hours", async () => {
    const order = orderOf({ traced: true, ageMs: 5 * 3_600_000 });
    await run([order]);
    assert.deepEqual(toldOf(order), allDone);
    for (const step of stepsOf(kept.all(), order)) {
      assert.notEqual(step.spanContext().traceId, traceOf(order));
      assert.equal(step.parentSpanContext, undefined);
      assert.ok(step.links.some(({ context }) => context.traceId === traceOf(order)));
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
    const dispatch = kept.one("dispatch");
    for (const span of [...batchesOf(spans), ...tasksOf(spans)]) {
      assert.equal(span.spanContext().traceId, dispatch.spanContext().traceId, span.name);
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
    const handle = await dispatched(orders, () =>
      stage.start(orders, [on("authorize", { kind: "invalid" }, poison)], { checkoutPatienceMs: 1_500 }),
    );
    await stage.parked(handle, "authorize");
    await handle.result();
    const sizes = (order: SagaOrder) =>
      stepsOf(kept.all(), order)
        .filter(({ name }) => name === "authorize")
        .map((span) => `${told(span)} of ${span.attributes["ordermesh.list.size"]}`);
    const failed = "authorize failed InvalidArgument";
    assert.deepEqual(sizes(healthy), [`${failed} of 4`, `${failed} of 2`, "authorize done of 1"]);
    assert.deepEqual(sizes(poison), [`${failed} of 4`, `${failed} of 2`, `${failed} of 1`]);
  });
});

/** The decoded arguments of a workflow's activities. */
async function inputs(handle: Awaited<ReturnType<Stage["start"]>>): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
    (scheduled?.input?.payloads ?? []).map(({ data }) => Buffer.from(data ?? []).toString()),
  );
}
