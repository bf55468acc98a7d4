import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../run.ts";

test("a command says what it wrote, or why it failed", async () => {
  assert.equal(await run("sh", ["-c", "echo out; echo err >&2"], { timeoutMs: 5_000 }), "out\nerr\n");
  await assert.rejects(run("sh", ["-c", "echo no; exit 3"], { timeoutMs: 5_000 }), /^Error: sh ended with code 3: no$/);
  await assert.rejects(run("sleep", ["60"], { timeoutMs: 50 }), /^Error: sleep ended with signal SIGKILL/);
});

test("a command is not waited for longer although somebody whom it left behind keeps its output open", async () => {
  const start = performance.now();
  await assert.rejects(run("sh", ["-c", "sleep 20 &"], { timeoutMs: 50 }), /^Error: sh did not end in time$/);
  assert.ok(performance.now() - start < 15_000);
});

test("all that a command writes is returned, and one that writes without end is ended", async () => {
  const program = `process.stdout.write("first\\n" + "€".repeat(200_000))`;
  const said = await run(process.execPath, ["-e", program], { timeoutMs: 20_000 });
  assert.ok(said === `first\n${"€".repeat(200_000)}`);
  await assert.rejects(run("yes", [], { timeoutMs: 60_000 }), /^Error: yes wrote more than \d+ characters$/);
});
