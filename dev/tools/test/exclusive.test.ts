import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { exclusively } from "../exclusive.ts";

const holder = join(import.meta.dirname, "lock-holder.ts");
const patient = { deadlineMs: 60_000, onWait: () => undefined };

let folder: string;
let lock: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-lock-"));
  lock = join(folder, "lock");
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

/** Another process that holds the lock until it is told to end. */
async function hold(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [holder, lock], { stdio: ["pipe", "pipe", "inherit"], timeout: 60_000 });
  children.push(child);
  await once(child.stdout, "data");
  return child;
}

describe("a lock between processes", () => {
  it("waits as long as the other one lives, and says for how long", async () => {
    const other = await hold();
    const told: number[] = [];
    const onWait = (seconds: number) => {
      told.push(seconds);
      // It lives longer than one turn of waiting.
      if (told.length === 3) other.stdin?.end();
    };
    const answer = await exclusively(lock, async () => "mine", { deadlineMs: 60_000, onWait, everyMs: 400 });
    assert.equal(answer, "mine");
    assert.equal(told[0], 0);
    assert.ok(told.length >= 3 && (told.at(-1) ?? 0) >= 1, String(told));
    assert.deepEqual(await readdir(folder), []);
  });

  it("is taken over from a process that was killed, while it waits", async () => {
    const other = await hold();
    const onWait = () => other.kill("SIGKILL");
    assert.equal(await exclusively(lock, async () => "mine", { deadlineMs: 60_000, onWait }), "mine");
    assert.deepEqual(await readdir(folder), []);
  });

  it("is taken over by one of many that wait", async () => {
    await writeFile(lock, `${process.pid} another-life`);
    let inside = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await readFile(lock);
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 8 }, () => exclusively(lock, work, patient)));
    assert.equal(most, 1);
  });

  it("gives up after the deadline, and names who holds it", async () => {
    const other = await hold();
    const impatient = { deadlineMs: 300, onWait: () => undefined };
    await assert.rejects(
      exclusively(lock, async () => "mine", impatient),
      new RegExp(`process ${other.pid} holds ${lock}`),
    );
  });

  it("is free again after work that failed", async () => {
    const failing = exclusively(lock, () => Promise.reject(new Error("no Go")), patient);
    await assert.rejects(failing, /no Go/);
    assert.equal(await exclusively(lock, async () => "mine", patient), "mine");
  });
});
