// Log lines leave aside of the process's work: whoever does not read them neither stops it nor fills its memory.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LogOutput } from "#platform/log/log-output.ts";
import { createLogger } from "#platform/log/logger.ts";

test("all lines are written, in their order, before flush resolves", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-log-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "log");
  const output = new LogOutput(openSync(file, "w"));
  const { logger } = createLogger({ name: "orders", level: "info", format: "json", stream: output });
  for (let number = 0; number < 500; number += 1) logger.info("line", { "order.id": `o-${number}` });
  await output.flush();
  const ids = (await readFile(file, "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line)["order.id"]);
  assert.deepEqual(
    ids,
    Array.from({ length: 500 }, (_, number) => `o-${number}`),
  );
});

/** Writes 20,000 lines into a pipe that is full, then says how that went. */
const writer = `
  import { LogOutput } from "#platform/log/log-output.ts";
  import { createLogger } from "#platform/log/logger.ts";
  import { addProcessMetrics } from "#platform/metrics/process-metrics.ts";
  import { Registry } from "prom-client";
  const registry = new Registry();
  addProcessMetrics(registry);
  const output = new LogOutput(1, 200_000);
  const { logger } = createLogger({ name: "orders", level: "info", format: "json", stream: output });
  let slowest = 0;
  for (let number = 0; number < 20_000; number += 1) {
    const start = performance.now();
    logger.info("line", { "order.id": "o-" + number });
    slowest = Math.max(slowest, performance.now() - start);
    if (number % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const text = await registry.metrics();
  const valueOf = (name) => Number(text.match(new RegExp("^" + name + " (\\\\d+)$", "m"))?.[1]);
  process.stderr.write(JSON.stringify({ slowest, dropped: valueOf("log_lines_dropped_total"), lag: valueOf("log_lag_bytes") }));
  process.exit(0);
`;

test("a reader that has stopped costs lines, which are counted, and nothing else", async () => {
  const root = join(import.meta.dirname, "../../../..");
  const child = spawn(process.execPath, ["--input-type=module", "--eval", writer], { cwd: root });
  let report = "";
  child.stderr.on("data", (chunk) => (report += chunk));
  child.stdout.pause();
  await once(child, "exit");
  const { slowest, dropped, lag } = JSON.parse(report);
  assert.ok(dropped > 15_000 && dropped < 20_000, report);
  assert.ok(lag > 100_000 && lag < 300_000, report);
  assert.ok(slowest < 500, report);
});
