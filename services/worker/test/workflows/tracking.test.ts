import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { WorkflowHandle } from "@temporalio/client";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import type { Worker } from "@temporalio/worker";
import { orderStatus, reportParcels } from "../../src/workflows/legacy/messages.ts";
import { anOrder, startSaga, timeSkippingEnvironment, workerFor } from "../stage/harness.ts";
import { on } from "../world/rules.ts";
import { World } from "../world/world.ts";

const dayMs = 86_400_000;

let environment: TestWorkflowEnvironment;
before(async () => {
  environment = await timeSkippingEnvironment();
});
after(() => environment?.teardown());

async function inWorld<T>(world: World, work: (worker: Worker) => Promise<T>): Promise<T> {
  const worker = await workerFor(environment, world);
  return worker.runUntil(work(worker));
}

function looks(world: World): number {
  return world.batches.filter(({ step }) => step === "look").length;
}

/** Runs of the workflow that continued as new. */
async function runsOf(handle: WorkflowHandle): Promise<number> {
  let runs = 1;
  let { events } = await environment.client.workflow.getHandle(handle.workflowId).fetchHistory();
  for (;;) {
    const before = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
    if (!before) return runs;
    runs++;
    ({ events } = await environment.client.workflow.getHandle(handle.workflowId, before).fetchHistory());
  }
}

test("the carrier is asked once a day, for all parcels in one batch", async () => {
  const world = new World();
  world.rules.push(on("look", { kind: "pending" }, { times: 9 }));
  const orders = [anOrder(), anOrder(), anOrder()];
  await inWorld(world, async () => {
    const handle = await startSaga(environment, orders, { pollMs: dayMs });
    const { orders: ended } = await handle.result();
    assert.ok(ended.every(({ stage }) => stage === "DELIVERED"));
    const { startTime, closeTime } = await handle.describe();
    assert.equal(Math.round(((closeTime?.getTime() ?? 0) - startTime.getTime()) / dayMs), 10);
  });
  assert.deepEqual([...new Set(world.batches.filter(({ step }) => step === "look").map(({ size }) => size))], [3]);
});

test("a report ends the wait before the carrier is asked", async () => {
  const world = new World();
  const order = anOrder();
  const { orderId } = order;
  await inWorld(world, async () => {
    const handle = await startSaga(environment, [order], { pollMs: dayMs });
    for (let known = false; !known; ) {
      known = (await handle.query(orderStatus, orderId))?.stage === "TRACKING";
    }
    const report = { orderId, locationId: "BER", result: "DELIVERED" as const };
    await handle.signal(reportParcels, [report]);
    await handle.signal(reportParcels, [report, { ...report, result: "LOST" }]);
    await handle.result();
  });
  assert.equal(looks(world), 0);
  assert.equal(world.trace(orderId).at(-1), "DELIVERED");
  assert.equal(world.order(orderId).refunded, 0n);
});

test("a long wait continues as new and forgets nothing", async () => {
  const world = new World();
  world.rules.push(on("look", { kind: "pending" }, { times: 59 }));
  const [order, rejected] = [anOrder(), anOrder()];
  world.rules.push(on("reserve", { kind: "refuse", reason: "OUT_OF_STOCK" }, { orderId: rejected.orderId }));
  await inWorld(world, async () => {
    const handle = await startSaga(environment, [order, rejected], { pollMs: dayMs, maxHistory: 100 });
    const result = await environment.client.workflow.getHandle(handle.workflowId).result();
    assert.deepEqual(result, {
      orders: [
        { orderId: order.orderId, stage: "DELIVERED" },
        { orderId: rejected.orderId, stage: "REJECTED" },
      ],
    });
    assert.ok((await runsOf(handle)) >= 3);
    const view = await environment.client.workflow.getHandle(handle.workflowId).query(orderStatus, order.orderId);
    assert.deepEqual(
      view?.steps.map(({ name }) => name),
      [
        "reserve",
        "authorize",
        "confirm",
        "prepare:BER",
        "ship:BER",
        "capture:BER",
        "commit:BER",
        "shipped",
        "delivered",
      ],
    );
  });
  assert.equal(world.trace(order.orderId).filter((effect) => effect === "reserve").length, 1);
});
