import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { until } from "#testing/until.ts";
import { fullEnvironment } from "../../config.ts";
import type { StubPlan, StubRevision } from "./helm-stub.ts";

const script = join(import.meta.dirname, "../rollout.ts");
const stub = join(import.meta.dirname, "helm-stub.ts");
const limitMs = 60_000;
const place = "--kube-context shop --namespace ordermesh";
const good: readonly StubRevision[] = [{ revision: 4, status: "deployed", test: "Succeeded" }];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-rollout-"));
  await writeFile(join(folder, "helm"), `#!/bin/sh\nexec '${process.execPath}' '${stub}' '${folder}' "$@"\n`, {
    mode: 0o755,
  });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function prepare(revisions: readonly StubRevision[], plan: StubPlan): Promise<void> {
  await writeFile(join(folder, "revisions.json"), JSON.stringify(revisions));
  await writeFile(join(folder, "plan.json"), JSON.stringify(plan));
}

interface Ended {
  readonly code: number;
  readonly said: string;
  /** The commands that changed something. */
  readonly log: readonly string[];
  readonly revisions: readonly StubRevision[];
}

function start(args: readonly string[]): ChildProcess {
  const env = fullEnvironment({ PATH: `${folder}:${fullEnvironment().PATH}` });
  return spawn(process.execPath, [script, ...args], { env, stdio: ["ignore", "pipe", "pipe"], timeout: limitMs });
}

async function logged(): Promise<string> {
  return readFile(join(folder, "log"), "utf8").catch(() => "");
}

async function ended(child: ChildProcess): Promise<Ended> {
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => (said += chunk));
  const [code] = (await once(child, "close")) as [number];
  const revisions = JSON.parse(await readFile(join(folder, "revisions.json"), "utf8").catch(() => "[]"));
  return { code, said, log: (await logged()).split("\n").filter(Boolean), revisions };
}

const rollOut = (...flags: string[]) => ended(start(["--context", "shop", "--", ...flags]));
const commands = ({ log }: Ended) => log.map((line) => line.split(" ")[0]);
const now = ({ revisions }: Ended) => revisions.at(-1);

describe("a rollout", () => {
  it("upgrades with the flags, tests, and ends with 0", async () => {
    await prepare(good, {});
    const end = await rollOut("-f", "some.yaml", "--set", "a=b");
    assert.equal(end.code, 0, end.said);
    assert.deepEqual(end.log, [
      `upgrade ordermesh charts/ordermesh --install --atomic -f some.yaml --set a=b --timeout 10m ${place}`,
      `test ordermesh --timeout 10m ${place}`,
    ]);
    assert.match(end.said, /revision 5 runs, and has passed its test/);
  });

  it("goes back to the revision before when the test fails, and shows what the test said", async () => {
    await prepare([{ revision: 3, status: "superseded", test: "Succeeded" }, ...good], { fails: ["test"] });
    const end = await rollOut();
    assert.equal(end.code, 1);
    assert.equal(end.log.at(-1), `rollback ordermesh 4 --wait --timeout 10m ${place}`);
    assert.match(end.said, /Error: test failed as planned[\s\S]*going back to 4[\s\S]*revision 4 was runs again/);
    assert.deepEqual(now(end), { revision: 6, status: "deployed", test: "Succeeded" });
  });

  it("goes back past a revision that failed in between", async () => {
    await prepare([...good, { revision: 5, status: "failed", test: "" }], { fails: ["test"] });
    assert.equal((await rollOut()).log.at(-1), `rollback ordermesh 4 --wait --timeout 10m ${place}`);
  });

  it("leaves it to Helm to go back when the upgrade fails, and does not test", async () => {
    await prepare(good, { fails: ["upgrade"] });
    const end = await rollOut();
    assert.equal(end.code, 1);
    assert.deepEqual(commands(end), ["upgrade"]);
    assert.match(end.said, /what revision 4 was runs as before/);
  });

  it("says that nothing was shown when the values have no test", async () => {
    await prepare([{ revision: 4, status: "deployed" }], { withoutTest: true });
    const end = await rollOut();
    assert.equal(end.code, 0);
    assert.deepEqual(commands(end), ["upgrade"]);
    assert.match(end.said, /its values have no test/);
  });

  it("uninstalls a first installation that fails its test", async () => {
    await prepare([], { fails: ["test"] });
    const end = await rollOut();
    assert.equal(end.code, 1);
    assert.deepEqual(commands(end), ["upgrade", "test", "uninstall"]);
    assert.match(end.said, /nothing is installed, as before/);
  });

  it("ends with 2 and the command to run when going back fails", async () => {
    await prepare(good, { fails: ["test", "rollback"] });
    const end = await rollOut();
    assert.equal(end.code, 2);
    assert.match(end.said.trim(), new RegExp(`helm rollback ordermesh 4 ${place} --wait$`));
  });
});

describe("a rollout that was stopped", () => {
  for (const { hangs, says } of [
    { hangs: "history", says: /interrupted; nothing was changed/ },
    { hangs: "upgrade", says: /interrupted: going back[\s\S]*what revision 4 was runs as before/ },
    { hangs: "test", says: /interrupted: going back[\s\S]*what revision 4 was runs again/ },
  ] as const) {
    it(`leaves what ran before when it gets SIGTERM during helm ${hangs}`, async () => {
      await prepare(good, { hangs });
      const child = start(["--context", "shop"]);
      const end = ended(child);
      const isHanging = async () => (await logged()).includes(`${hangs} hangs`);
      await until(isHanging, `helm ${hangs}`, { deadlineMs: limitMs, everyMs: 20 });
      child.kill("SIGTERM");
      const { code, said, revisions } = await end;
      assert.equal(code, 1, said);
      assert.match(said, says);
      assert.deepEqual(revisions.at(-1)?.test, "Succeeded");
    });
  }

  it("between upgrade and test is noticed by the next one, which says what to do", async () => {
    await prepare([...good, { revision: 5, status: "deployed", test: "" }], {});
    const end = await rollOut();
    assert.equal(end.code, 0);
    assert.match(end.said, /its test has not been passed: .* helm test ordermesh, and helm rollback/);
  });

  it("in the middle of Helm's work is refused with the command that repairs it", async () => {
    await prepare([...good, { revision: 5, status: "pending-upgrade" }], {});
    const end = await rollOut();
    assert.equal(end.code, 1);
    assert.deepEqual(end.log, []);
    assert.match(end.said, /Revision 5 is pending-upgrade: .*helm rollback ordermesh 4 --kube-context shop/);
  });
});

describe("the command", () => {
  for (const { args, code, says } of [
    { args: ["--help"], code: 0, says: /npm run rollout -- --context <name>/ },
    { args: [], code: 1, says: /Say which cluster: --context <name>/ },
    {
      args: ["--context", "shop", "--timeout", "ten"],
      code: 1,
      says: /--timeout is a time like 90s or 10m, not "ten"/,
    },
    { args: ["--context", "shop", "--sideways"], code: 1, says: /--sideways/ },
    {
      args: ["--context", "shop", "--", "--dry-run=server"],
      code: 1,
      says: /--dry-run=server cannot be given to Helm/,
    },
    { args: ["--context", "shop", "--", "-n", "other"], code: 1, says: /-n cannot be given to Helm/ },
  ]) {
    it(`ends with ${code} for ${args.join(" ") || "nothing"}, and runs nothing`, async () => {
      const end = await ended(start(args));
      assert.match(end.said, says);
      assert.equal(end.code, code);
      assert.deepEqual(end.log, []);
    });
  }
});
