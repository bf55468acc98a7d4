import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { Worker } from "@temporalio/worker";
import { DeterminismViolationError } from "@temporalio/workflow";
import type { CarryOrdersInput } from "../src/workflows/order-state.ts";
import { historyFolder, readHistory } from "./history.ts";
import { legacyScenarios } from "./legacy/scenarios.ts";
import { scenarios } from "./scenarios.ts";
import { dataConverter } from "./stage/encryption.ts";
import { bundleOf } from "./stage/harness.ts";

/** What of a history is looked at here. */
interface StartedHistory {
  events: { workflowExecutionStartedEventAttributes?: { input?: { payloads?: { data: string }[] } } }[];
}

const names = Object.keys({ ...legacyScenarios, ...scenarios });

test("every scenario has a recorded history", async () => {
  assert.deepEqual((await readdir(historyFolder)).sort(), names.map((name) => `${name}.json`).sort());
});

for (const name of names) {
  test(`the workflow's code takes the recorded turns: ${name}`, async () => {
    await Worker.runReplayHistory({ workflowBundle: await bundleOf(), dataConverter }, await readHistory(name));
  });
}

test("an episode of before orders were screened replays where orders asked for it: a worker of then left it out", async () => {
  let asked = 0;
  const history = await readHistory("checkout", (text) => {
    const recorded = JSON.parse(text) as StartedHistory;
    const [payload] = recorded.events[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    assert.ok(payload);
    const input = JSON.parse(Buffer.from(payload.data, "base64").toString()) as CarryOrdersInput;
    for (const { checkout } of input.orders) {
      if (!checkout) continue;
      checkout.screen = true;
      asked += 1;
    }
    payload.data = Buffer.from(JSON.stringify(input)).toString("base64");
    return JSON.stringify(recorded);
  });
  assert.equal(asked, 6);
  await Worker.runReplayHistory({ workflowBundle: await bundleOf(), dataConverter }, history);
});

test("an episode of before articles came back replays where orders told of some: a worker of then knew nothing of them", async () => {
  const history = await readHistory("arrival", (text) => {
    const recorded = JSON.parse(text) as StartedHistory;
    const [payload] = recorded.events[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    assert.ok(payload);
    const input = JSON.parse(Buffer.from(payload.data, "base64").toString()) as CarryOrdersInput;
    for (const order of input.orders) order.returns = [{ returnId: order.orderId, parts: [], amount: 100 }];
    payload.data = Buffer.from(JSON.stringify(input)).toString("base64");
    return JSON.stringify(recorded);
  });
  await Worker.runReplayHistory({ workflowBundle: await bundleOf(), dataConverter }, history);
});

test("a history that the code would not make is told apart", async () => {
  const history = await readHistory("delivered", (text) => text.replaceAll("bookShipment", "bookFlight"));
  await assert.rejects(
    Worker.runReplayHistory({ workflowBundle: await bundleOf(), dataConverter }, history),
    DeterminismViolationError,
  );
});
