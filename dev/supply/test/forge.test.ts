import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { root } from "../../../deploy/command/checkout.ts";

interface Workflow {
  readonly permissions: unknown;
  readonly jobs: Readonly<Record<string, { readonly steps: readonly { readonly run?: string }[] }>>;
}

test("the forge runs the gate and commands that there are, and may only read", () => {
  const folder = join(root, ".github/workflows");
  const workflows = readdirSync(folder).map((name) => parse(readFileSync(join(folder, name), "utf8")) as Workflow);
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
  const lines = workflows.flatMap(({ jobs }) =>
    Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run = "" }) => run.split("\n"))),
  );
  assert.ok(lines.includes(".ci/run"));
  for (const line of lines) {
    const [, script] = /\bnpm run ([\w:]+)/.exec(line) ?? [];
    if (script) assert.ok(script in scripts, line);
    for (const [path] of line.matchAll(/\b(?:charts|dev|deploy|services)\/[\w/-]+(?=[/ ]|$)/g)) {
      assert.ok(existsSync(join(root, path)), `${path} in ${line}`);
    }
  }
  for (const { permissions } of workflows) assert.deepEqual(permissions, { contents: "read" });
});
