import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { root } from "../../../deploy/command/checkout.ts";

const script = join(root, "dev/commands/cluster-test.ts");

interface Failure {
  readonly code: number;
  readonly stderr: string;
}

/** Runs the test of the cluster where nothing is installed and no cluster answers, and returns how it fails. */
async function failureWithout(folder: string, ...args: readonly string[]): Promise<Failure> {
  const env = { PATH: folder, HOME: folder, KUBECONFIG: join(folder, "none"), ORDERMESH_CACHE: join(folder, "cache") };
  const started = promisify(execFile)(process.execPath, [script, ...args], { cwd: root, env, timeout: 60_000 });
  return started.then(
    () => assert.fail("it did not fail"),
    (error: Failure) => error,
  );
}

test("a test of the cluster says all that is missing before it installs or builds anything", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-empty-"));
  try {
    const { code, stderr } = await failureWithout(folder);
    assert.equal(code, 1);
    const lines = stderr.trim().split("\n");
    for (const name of ["helm", "grpcurl", "temporal", "jaeger", "elasticsearch", "filebeat", "skaffold"]) {
      const said = lines.filter((line) => line.startsWith(`${name} is neither on PATH nor in ${folder}`));
      assert.equal(said.length, 1, `${name} in ${stderr}`);
    }
    assert.match(stderr, /^A node is built with Go/m);
    assert.doesNotMatch(stderr, /building|installing|apt-get/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
