import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterError, LeftOut } from "../errors.ts";
import type { Mesh, Stage } from "../mesh/mesh.ts";
import { runStages } from "../mesh/run-stages.ts";

const mesh = {} as Mesh;

const shown = (name: string): Stage => ({ name, run: () => Promise.resolve("seen") });
const failing = (name: string): Stage => ({ name, run: () => Promise.reject(new ClusterError("it is not so")) });
const absent: Stage = { name: "absent", run: () => Promise.reject(new LeftOut("its tool is not here")) };

async function run(stages: readonly Stage[], { removals = [] as readonly Stage[], byNumber = false } = {}) {
  const lines: string[] = [];
  const say = (line: string) => lines.push(line.replace(/ \(\d+\.\d s\)/, ""));
  const passed = await runStages(mesh, { stages, removals, byNumber, say });
  return { passed, lines };
}

test("a stage that cannot be shown here is no stage that was shown", async () => {
  assert.deepEqual(await run([shown("one"), absent]), {
    passed: true,
    lines: [
      "✓ 1/2 one\n    seen",
      "– 2/2 absent\n    left out: its tool is not here",
      "1 of 2 stages shown, 0 failed, 1 left out",
    ],
  });
});

test("who asks for a stage by number learns by the exit code that it was not shown", async () => {
  const { passed, lines } = await run([shown("one"), absent], { byNumber: true });
  assert.equal(passed, false);
  assert.equal(lines.at(-1), "1 of 2 stages shown, 1 failed, 0 left out");
});

test("what comes after a failure is shown, but takes nothing away; after the first nothing is", async () => {
  const removal = shown("uninstall");
  const later = await run([shown("one"), failing("two"), shown("three"), removal], { removals: [removal] });
  assert.equal(later.passed, false);
  assert.deepEqual(later.lines.slice(1), [
    "✗ 2/4 two\n    it is not so",
    "✓ 3/4 three\n    seen",
    "2 of 4 stages shown, 1 failed, 0 left out",
  ]);
  const first = await run([failing("one"), shown("two")]);
  assert.deepEqual(first.lines, ["✗ 1/2 one\n    it is not so", "0 of 2 stages shown, 1 failed, 0 left out"]);
});
