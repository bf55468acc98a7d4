import assert from "node:assert/strict";
import { it } from "node:test";
import { root } from "../../deploy/command/checkout.ts";
import { run } from "../../deploy/command/run.ts";
import { tool } from "../../dev/tools/tool.ts";

for (const chart of ["service", "ordermesh"]) {
  it(`every unit test of the chart ${chart} passes`, async () => {
    const args = ["--strict", "--with-subchart=false", "-f", "tests/*_test.yaml", `charts/${chart}`];
    const options = { cwd: root, timeoutMs: 120_000, keepOutput: true };
    const said = await run(await tool("helm-unittest"), args, options);
    assert.match(said, /Tests: +[1-9]\d* passed, [1-9]\d* total/);
  });
}
