// Sagas of the kind before episodes come to their end with this worker.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Worker } from "@temporalio/worker";
import { dataConverter } from "../stage/encryption.ts";
import { bundleOf } from "../stage/harness.ts";
import { LegacyStage } from "./legacy-stage.ts";
import { legacyScenarios } from "./scenarios.ts";

let stage: LegacyStage;
before(async () => {
  stage = await LegacyStage.open();
});
after(() => stage?.close());

const cases: { scenario: keyof typeof legacyScenarios; ends: string[] }[] = [
  { scenario: "delivered", ends: ["DELIVERED", "DELIVERED"] },
  { scenario: "cancelled", ends: ["DELIVERED", "CANCELLED", "DELIVERED"] },
  { scenario: "resolved", ends: ["DELIVERED", "DELIVERED"] },
  { scenario: "continuedAsNew", ends: ["DELIVERED", "DELIVERED"] },
];

for (const { scenario, ends } of cases) {
  test(`${scenario}: to the end, and it can be replayed`, async () => {
    const handle = await legacyScenarios[scenario]?.(stage);
    const result = await handle?.result();
    assert.deepEqual(
      result?.orders.map((order) => order.stage),
      ends,
    );
    assert.ok(handle);
    await Worker.runReplayHistory({ workflowBundle: await bundleOf(), dataConverter }, await handle.fetchHistory());
  });
}
