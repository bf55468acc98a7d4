import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { WorkflowHandle } from "@temporalio/client";
import { Worker } from "@temporalio/worker";
import { until } from "#testing/until.ts";
import { cancelOrder, orderStatus, parkedSteps } from "../src/workflows/legacy/messages.ts";
import type { processOrders } from "../src/workflows/legacy/process-orders.ts";
import { anOrder, bundleOf } from "./stage/harness.ts";
import { patient, Stage } from "./stage/stage.ts";
import { on, type Rule } from "./world/rules.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage?.close());

const batchCount = 4;
const batchSize = 24;

/** A batch in which much goes wrong at the same time. */
async function troubled(number: number): Promise<WorkflowHandle<typeof processOrders>> {
  const orders = Array.from({ length: batchSize }, () => anOrder());
  const ids = orders.map(({ orderId }) => orderId);
  const nth = (index: number) => ({ orderId: ids[(index + number * 5) % batchSize] ?? "" });
  const rules: Rule[] = [
    on("authorize", { kind: "invalid" }, nth(0)),
    on("authorize", { kind: "pending" }, { ...nth(3), times: 4 }),
    on("reserve", { kind: "refuse", reason: "OUT_OF_STOCK" }, nth(7)),
    on("prepare", { kind: "pending" }, { ...nth(11), times: 2 }),
    on("ship", { kind: "refuse", reason: "CARRIER_REFUSED" }, nth(13)),
    on("capture", { kind: "unavailable" }, { ...nth(17), times: 1 }),
    on("authorize", { kind: "pending" }, nth(19)),
  ];
  const handle = await stage.start(orders, rules);
  await stage.until(handle, ids[(19 + number * 5) % batchSize] ?? "", ["authorize", "RUNNING"]);
  await handle.executeUpdate(cancelOrder, { args: [{ ...nth(19), reason: "changed my mind" }] });
  return handle;
}

test("what many batches do while they are asked all the time can be replayed", async () => {
  const handles = await Promise.all(Array.from({ length: batchCount }, (_, number) => troubled(number)));
  let asked = 0;
  const othersEnded = async () => {
    const parked = await Promise.all(handles.map((handle) => handle.query(parkedSteps)));
    asked += parked.length;
    if (parked.some((steps) => steps.length !== 1)) return false;
    const histories = await Promise.all(handles.map((handle) => handle.describe()));
    const counts = histories.map(({ historyLength }) => historyLength);
    await Promise.all(handles.map((handle) => handle.query(orderStatus, "")));
    const later = await Promise.all(handles.map((handle) => handle.describe()));
    return later.every(({ historyLength }, index) => historyLength === counts[index] && asked > batchCount * 20);
  };
  await until(othersEnded, "all orders but the poisonous ones have ended", patient);
  for (const handle of handles) {
    await Worker.runReplayHistory({ workflowBundle: await bundleOf() }, await handle.fetchHistory());
    await handle.terminate();
  }
  assert.ok(asked > 0);
});

test("a query that comes with the first workflow task does not make the history unreplayable", async () => {
  const handles = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const orders = [anOrder(), anOrder()];
      const handle = await stage.start(orders);
      await Promise.all([handle.query(orderStatus, orders[0]?.orderId ?? ""), handle.query(parkedSteps)]);
      return handle;
    }),
  );
  for (const handle of handles) {
    assert.ok((await handle.result()).orders.every((order) => order.stage === "DELIVERED"));
    await Worker.runReplayHistory({ workflowBundle: await bundleOf() }, await handle.fetchHistory());
  }
});
