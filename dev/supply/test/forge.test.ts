import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { root } from "../../../deploy/command/checkout.ts";
import { versions } from "../../tools/versions.ts";

interface Job {
  readonly if?: string;
  readonly needs?: readonly string[];
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly {
    readonly uses?: string;
    readonly with?: Readonly<Record<string, string>>;
    readonly run?: string;
  }[];
}

interface Workflow {
  readonly permissions: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

const folder = join(root, ".github/workflows");
const workflows = readdirSync(folder).map((name) => parse(readFileSync(join(folder, name), "utf8")) as Workflow);

test("the forge runs the gate and commands that there are, and may only read", () => {
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

test("what may write is the release alone, which comes after everything else and is signed", () => {
  const jobs = workflows.flatMap((workflow) => Object.entries(workflow.jobs));
  const writing = jobs.filter(([, { permissions = {} }]) => Object.values(permissions).includes("write"));
  assert.deepEqual(
    writing.map(([name, { permissions }]) => [name, permissions]),
    [["release", { contents: "read", packages: "write" }]],
  );
  const [, release] = writing[0] ?? [];
  assert.equal(release?.if, "startsWith(github.ref, 'refs/tags/v')");
  const others = jobs.map(([name]) => name).filter((name) => name !== "release");
  assert.deepEqual([...(release?.needs ?? [])].sort(), others.sort());
  const steps = release?.steps ?? [];
  assert.ok(steps.some(({ run = "" }) => /^npm run image -- .*--push --sign env:\/\/COSIGN_PRIVATE_KEY$/.test(run)));
  const installer = steps.find(({ uses = "" }) => uses.startsWith("sigstore/cosign-installer@"));
  assert.equal(installer?.with?.["cosign-release"], versions.cosign);
});
