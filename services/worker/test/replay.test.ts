import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { Worker } from "@temporalio/worker";
import { DeterminismViolationError } from "@temporalio/workflow";
import { historyFolder, readHistory } from "./history.ts";
import { legacyScenarios } from "./legacy/scenarios.ts";
import { scenarios } from "./scenarios.ts";
import { dataConverter } from "./stage/encryption.ts";
import { bundleOf } from "./stage/harness.ts";

const names = Object.keys({ ...legacyScenarios, ...scenarios });

test("every scenario has a recorded history", async () => {
  assert.deepEqual((await readdir(historyFolder)).sort(), names.map((name) => `${name}.json`).sort());
});

for (const name of names) {
  test(`the workflow's code takes the recorded turns: ${name}`, async () => {
    await Worker.runReplayHistory({ workflowBundle: await bundleOf(), dataConverter }, await readHistory(name));
  });
}

test("a history that the code would not make is told apart", async () => {
  const history = await readHistory("delivered", (text) => text.replaceAll("bookShipment", "bookFlight"));
  await assert.rejects(
    Worker.runReplayHistory({ workflowBundle: await bundleOf(), dataConverter }, history),
    DeterminismViolationError,
  );
});
