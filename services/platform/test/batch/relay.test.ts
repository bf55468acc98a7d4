import assert from "node:assert/strict";
import { it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Registry } from "prom-client";
import { Relay } from "#platform/batch/relay.ts";
import { addProcessMetrics } from "#platform/metrics/process-metrics.ts";
import { keptLog, quietLogger } from "#testing/logger.ts";

const quiet = quietLogger();

it("sweeps at start, again at once while there is something, then waits for a nudge or the timer", async () => {
  const due = [3, 1, 0, 2, 0];
  let sweeps = 0;
  const relay = new Relay({ name: "t", everyMs: 60_000, log: quiet, sweep: async () => due[sweeps++] ?? 0 });
  relay.start();
  relay.start();
  await turns();
  assert.equal(sweeps, 3);
  relay.nudge();
  await turns();
  assert.equal(sweeps, 5);
  await relay.stop();
  relay.nudge();
  await turns();
  assert.equal(sweeps, 5);
  relay.start();
  await turns();
  assert.equal(sweeps, 6);
  await relay.stop();
});

it("looks less often while there is nothing, and as often as before when there is", async () => {
  const at: number[] = [];
  const due = [1, 0, 0, 0, 0, 1, 0];
  const done = Promise.withResolvers<void>();
  const sweep = async () => {
    at.push(performance.now());
    if (at.length === due.length + 1) done.resolve();
    return due[at.length - 1] ?? 0;
  };
  const relay = new Relay({ name: "t", everyMs: 20, restMs: 80, log: quiet, sweep });
  relay.start();
  await done.promise;
  await relay.stop();
  // A timer may be late, and a millisecond early.
  for (const [index, least] of [0, 19, 39, 79, 79, 0, 19].entries()) {
    assert.ok((at[index + 1] ?? 0) - (at[index] ?? 0) >= least, `${index}: ${at}`);
  }
});

it("waits for company the longer the more comes, and not with a full batch", async () => {
  const sizes: number[] = [];
  let waiting = 0;
  const relay = new Relay({
    name: "t",
    everyMs: 60_000,
    pace: { spacingMs: 100, full: 50 },
    log: quiet,
    sweep: async () => {
      const size = Math.min(waiting, 50);
      waiting -= size;
      sizes.push(size);
      return size;
    },
  });
  const come = (count: number) => {
    waiting += count;
    relay.nudge(count);
  };
  relay.start();
  await turns();
  come(1);
  await turns();
  assert.deepEqual(sizes, [0, 1], "what comes after a silence goes at once");
  come(120);
  await turns();
  assert.deepEqual(sizes, [0, 1, 50, 50, 20]);
  come(1);
  await turns();
  come(2);
  await turns();
  assert.equal(sizes.length, 5, "now it is busy");
  const start = performance.now();
  while (sizes.length < 6) await turn();
  assert.ok(performance.now() - start > 50);
  assert.equal(sizes[5], 3);
  await relay.stop();
});

it("logs a failure and goes on after a pause that grows", async () => {
  const log = keptLog();
  const start = performance.now();
  const done = Promise.withResolvers<void>();
  let sweeps = 0;
  const relay = new Relay({
    name: "expiry",
    everyMs: 2,
    maxPauseMs: 4,
    log: log.logger,
    sweep: async () => {
      sweeps += 1;
      if (sweeps <= 3) throw new Error("away");
      done.resolve();
      return 0;
    },
  });
  relay.start();
  await done.promise;
  await relay.stop();
  assert.deepEqual(
    log.lines().map((line) => line["relay.failures"]),
    [1, 2, 3],
  );
  assert.ok(performance.now() - start >= 8);
});

it("repeats what failed soon, however seldom it sweeps, and then rests as long as ever", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const failing = [true, true, true, true, false, false];
  let sweeps = 0;
  const sweep = async () => {
    sweeps += 1;
    if (failing[sweeps - 1]) throw new Error("away");
    return 0;
  };
  const relay = new Relay({ name: "t", everyMs: 3_600_000, maxPauseMs: 3_000, log: quiet, sweep });
  relay.start();
  await turns();
  const after: number[] = [];
  for (const pauseMs of [1_000, 2_000, 3_000, 3_000, 3_600_000]) {
    context.mock.timers.tick(pauseMs - 1);
    await turns();
    after.push(sweeps);
    context.mock.timers.tick(1);
    await turns();
  }
  assert.deepEqual([...after, sweeps], [1, 2, 3, 4, 5, 6]);
  await relay.stop();
});

it("never overlaps, and stop waits for the sweep that runs, which it aborts", async () => {
  const log = keptLog();
  let running = 0;
  const relay = new Relay({
    name: "t",
    everyMs: 1,
    log: log.logger,
    sweep: async (signal) => {
      running += 1;
      assert.equal(running, 1);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      running -= 1;
      throw new Error("aborted");
    },
  });
  relay.start();
  await turns();
  relay.nudge();
  await relay.stop();
  assert.equal(running, 0);
  assert.equal(log.text(), "", "an aborted sweep is no failure");
});

async function turns(): Promise<void> {
  for (let count = 0; count < 10; count += 1) await turn();
}

it("its runs are measured by name", async () => {
  const due = [2, 0];
  const registry = new Registry();
  addProcessMetrics(registry);
  const swept = Promise.withResolvers<void>();
  const relay = new Relay({
    name: "measured relay",
    everyMs: 1,
    log: quiet,
    sweep: async () => {
      const next = due.shift();
      if (next !== undefined) return next;
      swept.resolve();
      throw new Error("away");
    },
  });
  relay.start();
  await swept.promise;
  await relay.stop();
  const text = await registry.metrics();
  for (const outcome of ["worked", "idle"])
    assert.match(text, new RegExp(`^relay_runs_total\\{relay="measured relay",outcome="${outcome}"\\} 1$`, "m"));
  assert.match(text, /^relay_last_success_timestamp_seconds\{relay="measured relay"\} 1\d{9}/m);
  assert.match(text, /^relay_interval_seconds\{relay="measured relay"\} 0\.001$/m);
});

it("one that never succeeds counts from when it began", async () => {
  const registry = new Registry();
  addProcessMetrics(registry);
  const swept = Promise.withResolvers<void>();
  const sweep = async () => {
    swept.resolve();
    throw new Error("away");
  };
  const relay = new Relay({ name: "useless relay", everyMs: 60_000, log: quiet, sweep });
  const before = Math.floor(Date.now() / 1_000);
  relay.start();
  await swept.promise;
  await relay.stop();
  const [, began] =
    /^relay_last_success_timestamp_seconds\{relay="useless relay"\} ([\d.]+)/m.exec(await registry.metrics()) ?? [];
  assert.ok(Number(began) >= before && Number(began) <= Date.now() / 1_000, began);
});
