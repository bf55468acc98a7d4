import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Writable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { runInContext } from "#platform/context.ts";
import { createLogger, type Logger } from "#platform/logger.ts";
import { ContainerLog } from "../elk/container-log.ts";
import { startFilebeat } from "../elk/programs.ts";
import { type TestElastic, testElastic, until } from "./elk-stack.ts";

/** A service whose output a container runtime writes down. */
function service(elastic: TestElastic, name: string): { logger: Logger; log: ContainerLog } {
  const uid = "7d1c1f7e-3c55-4b0e-9f60-2f1d5f6a7b8c";
  const log = new ContainerLog(elastic.plan.logs, { namespace: "test", pod: `${name}-5b8f`, uid, container: name });
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      for (const line of String(chunk).trimEnd().split("\n")) log.write(line);
      done();
    },
  });
  return { logger: createLogger({ name, level: "info", format: "json", stream }), log };
}

const arrivesWithinMs = 30_000;

describe("log lines on their way to Elasticsearch", () => {
  let elastic: TestElastic;
  before(async () => {
    elastic = await testElastic();
    await startFilebeat(elastic.supervisor, elastic.plan);
  });
  after(() => elastic?.[Symbol.asyncDispose]());

  it("the lines of one order are found by its id and by its trace, from every service", async () => {
    const order = "01h3zk5m8q9r2t4v6w8x0y2z4a";
    const traceId = randomBytes(16).toString("hex");
    for (const name of ["orders", "inventory", "payments"]) {
      const { logger } = service(elastic, name);
      runInContext({ traceId, requestId: "9f0c1a52", userId: "u-1" }, () => {
        logger.info("step done", { "order.id": order, "saga.id": "01h3zk5m8q9r2t4v6w8x0y2z4b" });
        logger.error("step failed", { "order.id": order, err: new RangeError("too much") });
      });
      logger.info("another order", { "order.id": "01h3zk5m8q9r2t4v6w8x0y2z4c" });
    }
    const byOrder = () => elastic.search({ term: { "order.id": order } });
    const lines = await until(byOrder, (found) => found.length === 6, arrivesWithinMs);
    const byTrace = await elastic.search({ term: { "trace.id": traceId } });
    assert.deepEqual(new Set(byTrace.map(({ _id }) => _id)), new Set(lines.map(({ _id }) => _id)));
    assert.equal((await elastic.search({ term: { "request.id": "9f0c1a52" } })).length, 6);
    const failed = lines.find(
      ({ _source }) => _source.message === "step failed" && JSON.stringify(_source.service).includes("payments"),
    );
    const source = failed?._source ?? {};
    const { error, orchestrator, container, log } = source as Record<string, Record<string, unknown>>;
    assert.equal(error?.type, "RangeError");
    assert.equal(error?.message, "too much");
    assert.match(String(error?.stack_trace), /RangeError: too much\n\s+at /);
    assert.equal(log?.level, "error");
    assert.deepEqual(container, { name: "payments" });
    assert.equal(orchestrator?.namespace, "test");
    assert.deepEqual(orchestrator?.resource, {
      id: "7d1c1f7e-3c55-4b0e-9f60-2f1d5f6a7b8c",
      name: "payments-5b8f",
      type: "pod",
    });
  });

  it("health checks are dropped; lines that are no JSON, and those longer than the runtime's pieces, are not", async () => {
    const { logger, log } = service(elastic, "shipping");
    logger.info("call answered", { "rpc.service": "grpc.health.v1.Health", "rpc.method": "Check" });
    logger.info("answered", { "url.path": "/healthz" });
    log.write("Error: no JSON, as when the process dies early", "stderr");
    const long = `long ${"äöü€ ".repeat(2500)}end`;
    logger.info(long);
    logger.info("last of shipping");
    const ofShipping = { term: { "container.name": "shipping" } };
    const lines = await until(
      () => elastic.search(ofShipping),
      (found) => found.length >= 3,
      arrivesWithinMs,
    );
    assert.deepEqual(
      lines.map(({ _source }) => _source.message).sort(),
      ["Error: no JSON, as when the process dies early", "last of shipping", long].sort(),
    );
  });

  it("nothing is lost and nothing doubled when files rotate, Elasticsearch stops, and Filebeat is killed", async () => {
    const { supervisor, plan } = elastic;
    const { logger, log } = service(elastic, "worker");
    const ofWorker = { term: { "service.name": "worker" } };
    let written = 0;
    const write = (lines: number) => {
      for (let i = 0; i < lines; i++) logger.info(`activity number ${++written} done`);
    };
    write(300);
    await until(
      () => elastic.count(ofWorker),
      (found) => found > 0,
      arrivesWithinMs,
    );
    supervisor.kill("elasticsearch", "SIGKILL");
    await until(
      async () => supervisor.pid("elasticsearch"),
      (pid) => pid === undefined,
      10_000,
    );
    write(300);
    log.rotate();
    write(300);
    supervisor.kill("filebeat", "SIGKILL");
    await until(
      async () => supervisor.pid("filebeat"),
      (pid) => pid === undefined,
      10_000,
    );
    write(300);
    log.rotate();
    write(300);
    await startFilebeat(supervisor, plan);
    await supervisor.restart("elasticsearch");
    await until(
      () => elastic.count(ofWorker),
      (found) => found >= 900,
      arrivesWithinMs,
    );
    supervisor.kill("filebeat", "SIGKILL");
    await until(
      async () => supervisor.pid("filebeat"),
      (pid) => pid === undefined,
      10_000,
    );
    write(100);
    await startFilebeat(supervisor, plan);
    await until(
      () => elastic.count(ofWorker),
      (found) => found >= written,
      arrivesWithinMs,
    );
    const lines = await elastic.search(ofWorker);
    assert.equal(lines.length, written);
    assert.equal(new Set(lines.map(({ _source }) => _source.message)).size, written);
  });
});
