import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { createLogger } from "#platform/log/logger.ts";
import { temporalLogger } from "../../src/temporal/runtime.ts";

test("the lines of Temporal's SDK name saga and order as ours do, and show no input", () => {
  const stream = new PassThrough();
  const log = temporalLogger(createLogger({ name: "worker", level: "info", format: "json", stream }).logger);
  log.warn("a step", { workflowId: "the saga", runId: "the run", orderId: "the order", error: new Error("no") });
  log.info("started", { workflowId: "the saga" });
  log.error("unknown activity", {
    activityType: "wrap",
    task: '{"input":[{"data":"cGVyc29uYWw="}]}',
    taskEncoded: "cGVy",
  });
  const lines = String(stream.read()).trim().split("\n");
  assert.equal(lines.length, 2);
  assert.deepEqual(JSON.parse(lines[1] ?? "")["temporal.meta"], { activityType: "wrap" });
  const { "@timestamp": _, error, ...line } = JSON.parse(lines[0] ?? "");
  assert.equal(error.message, "no");
  assert.deepEqual(line, {
    "ecs.version": line["ecs.version"],
    "log.level": "warn",
    "service.name": "worker",
    message: "a step",
    "saga.id": "the saga",
    "order.id": "the order",
    "temporal.meta": { runId: "the run" },
  });
});
