import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { AuditStream } from "#platform/audit/audit-stream.ts";
import { runInContext } from "#platform/context.ts";
import { createLogger, type Logger } from "#platform/log/logger.ts";
import { until } from "#testing/until.ts";
import { run } from "../../../deploy/command/run.ts";
import { ContainerLog } from "../../../deploy/observability/elk/container-log.ts";
import { call, RefusedError } from "../../../deploy/observability/elk/setup/client.ts";
import { elasticsearchCalls, type Rule } from "../../../deploy/observability/elk/setup/install.ts";
import { elk, knownFields, read } from "../../../deploy/observability/test/elk-fields.ts";
import { startFilebeat } from "../elk.ts";
import { type Line, stream, type TestElastic, testElastic } from "./elk-stack.ts";

// One for both parts: it takes longer to start than most of them to run.
let elastic: TestElastic;
before(async () => {
  elastic = await testElastic();
});
after(() => elastic?.[Symbol.asyncDispose]());

describe("Elasticsearch", () => {
  const put = (line: object) => call(elastic, { method: "POST", path: `/${stream}/_doc`, body: JSON.stringify(line) });
  const line = { "@timestamp": "2026-11-21T13:04:05.123Z", message: "order confirmed", "service.name": "orders" };
  const refused = (reason: RegExp) => (error: unknown) => {
    assert.ok(error instanceof RefusedError);
    assert.equal(error.status, 400);
    assert.match(error.message, reason);
    return true;
  };

  it("is set up by a folder with nothing but these files, as the job in the cluster has them, again and again", async () => {
    const folder = join(elastic.plan.directory, "setup");
    await mkdir(join(folder, "..data"), { recursive: true });
    for (const file of await readdir(join(elk, "setup"))) {
      // The kubelet mounts a config map as links to a folder of the moment.
      await symlink(join(elk, "setup", file), join(folder, "..data", file));
      await symlink(join("..data", file), join(folder, file));
    }
    const env = { PATH: process.env.PATH, ELASTICSEARCH_URL: elastic.url };
    const output = await run(process.execPath, [join(folder, "install.ts")], { env, timeoutMs: 30_000 });
    assert.match(output, /Elasticsearch knows/);
  });

  it("has each field with its type", async () => {
    await put(line);
    const answer = await call(elastic, { method: "GET", path: `/${stream}/_field_caps?fields=*` });
    const { fields } = answer as { fields: Record<string, Record<string, unknown>> };
    for (const [name, type] of knownFields()) {
      assert.deepEqual(Object.keys(fields[name] ?? {}), [type === "alias" ? "keyword" : type], name);
    }
  });

  it("refuses a line with a field of ours that is not known or has another type", async () => {
    await assert.rejects(put({ ...line, order: { id: "a", number: 1 } }), refused(/strict_dynamic_mapping_exception/));
    await assert.rejects(put({ ...line, "rpc.grpc.status_code": "OK" }), refused(/document_parsing_exception/));
    await assert.rejects(put({ ...line, "event.duration": "long" }), refused(/document_parsing_exception/));
  });

  it("keeps other fields in the line without learning them", async () => {
    await put({ ...line, "order.id": "strange", anything: { else: 1 } });
    const [found] = await elastic.search({ term: { "order.id": "strange" } });
    assert.deepEqual(found?._source.anything, { else: 1 });
    const answer = await call(elastic, { method: "GET", path: `/${stream}/_field_caps?fields=anything.*` });
    assert.deepEqual((answer as { fields: object }).fields, {});
  });

  it("writes a new index after a rollover, and finds the lines of both", async () => {
    const before = await elastic.count();
    const answer = await call(elastic, { method: "POST", path: `/${stream}/_rollover` });
    assert.equal((answer as { rolled_over: boolean }).rolled_over, true);
    await put(line);
    assert.equal(await elastic.count(), before + 1);
  });

  it("takes the lifecycle, and would not take a wrong one", async () => {
    const [policy] = elasticsearchCalls;
    assert.match(policy?.path ?? "", /_ilm\/policy/);
    const { phases } = (JSON.parse(policy?.body as string) as { policy: { phases: Record<string, object> } }).policy;
    assert.deepEqual(phases.delete, { min_age: "30d", actions: { delete: {} } });
    const wrong = (change: object) => {
      const body = JSON.stringify({ policy: { phases: { ...phases, ...change } } });
      return call(elastic, { method: "PUT", path: "/_ilm/policy/wrong", body });
    };
    await wrong({});
    await assert.rejects(wrong({ hot: { actions: { delete: {} } } }), refused(/invalid action/));
    await assert.rejects(wrong({ warm: { actions: { shrink_a_bit: {} } } }), refused(/unknown|not support/i));
    await assert.rejects(wrong({ later: { actions: {} } }), refused(/phase/));
  });

  it("answers what the alert rules ask", async () => {
    await put({ ...line, "log.level": "error" });
    const rules = JSON.parse(read("setup/rules.json")) as Rule[];
    await call(elastic, { method: "POST", path: `/${stream}/_refresh` });
    for (const { rule } of rules) {
      const index = (rule.params.index as string[]).join(",");
      const { termField } = rule.params;
      const aggs = termField ? { groups: { terms: { field: termField, size: rule.params.termSize } } } : {};
      const body = JSON.stringify({ ...(JSON.parse(String(rule.params.esQuery)) as object), aggs });
      const answer = await call(elastic, { method: "POST", path: `/${index}/_search`, body });
      const { hits } = answer as { hits: { total: { value: number } } };
      assert.equal(hits.total.value > 0, !index.endsWith("::failures"), rule.name);
    }
  });
});

/** A service whose output a container runtime writes down. */
function service(name: string): { logger: Logger; log: ContainerLog; output: Writable } {
  const uid = "7d1c1f7e-3c55-4b0e-9f60-2f1d5f6a7b8c";
  const log = new ContainerLog(elastic.plan.logs, { namespace: "test", pod: `${name}-5b8f`, uid, container: name });
  const output = new Writable({
    write: (chunk, _encoding, done) => {
      for (const line of String(chunk).trimEnd().split("\n")) log.write(line);
      done();
    },
  });
  return { logger: createLogger({ name, level: "info", format: "json", stream: output }).logger, log, output };
}

/** Long, for machines that are busy; nobody waits longer than it takes. */
const arrival = { deadlineMs: 90_000, everyMs: 100 };

/** Waits until no fewer lines match a query, and returns them. */
function arrived(query: object, count: number): Promise<Line[]> {
  const look = async () => {
    const lines = await elastic.search(query);
    assert.ok(lines.length >= count, `${lines.length} lines`);
    return lines;
  };
  return until(look, `${count} lines that match ${JSON.stringify(query)}`, arrival);
}

/** Waits until a program does not run any more. */
async function ended(program: string): Promise<void> {
  await until(() => elastic.supervisor.pid(program) === undefined, `the end of ${program}`);
}

/** A number in letters, so that no two lines count as repetitions of each other. */
function inLetters(count: number): string {
  return [...String(count)].map((digit) => "abcdefghij"[Number(digit)]).join("");
}

/** The data stream of the audit log in the namespace that tests use. */
const auditStream = "logs-ordermesh.audit-test";

describe("log lines on their way to Elasticsearch", () => {
  before(() => startFilebeat(elastic.supervisor, elastic.plan));

  it("the lines of one order are found by its id and by its trace, from every service", async () => {
    const order = "01h3zk5m8q9r2t4v6w8x0y2z4a";
    const traceId = randomBytes(16).toString("hex");
    for (const name of ["orders", "inventory", "payments"]) {
      const { logger } = service(name);
      runInContext({ traceId, requestId: "9f0c1a52", userId: "u-1" }, () => {
        logger.info("step done", { "order.id": order, "saga.id": "01h3zk5m8q9r2t4v6w8x0y2z4b" });
        logger.error("step failed", { "order.id": order, err: new RangeError("too much") });
      });
      logger.info("another order", { "order.id": "01h3zk5m8q9r2t4v6w8x0y2z4c" });
    }
    const lines = await arrived({ term: { "order.id": order } }, 6);
    assert.equal(lines.length, 6);
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

  it("audit events have a data stream of their own, in which each is stored once though it was written twice", async () => {
    const origin = { actor: "service:worker", requestId: "step", traceId: randomBytes(16).toString("hex") };
    const event = (eventId: string) => ({
      eventId,
      time: new Date(),
      action: "payment.captured",
      subject: "p-1",
      ...origin,
      orderId: "01h3zk5m8q9r2t4v6w8x0y2z4d",
      details: { amount: "4700", currency: "EUR" },
    });
    const events = [event("e-1"), event("e-2")];
    for (const [name, written] of [
      ["first", events],
      ["second", [...events, event("e-3")]],
    ] as const) {
      const { output } = service(`payments-${name}`);
      await new AuditStream({ service: "payments", format: "json", stream: output }).write(written);
    }
    const { logger } = service("payments");
    logger.info("last of payments");
    await arrived({ match: { message: "last of payments" } }, 1);
    const search = async () => {
      await call(elastic, { method: "POST", path: `/${auditStream}/_refresh` });
      const query = {
        bool: { filter: [{ term: { "audit.details.amount": "4700" } }, { term: { "audit.actor": origin.actor } }] },
      };
      const body = JSON.stringify({ query, sort: ["event.id"] });
      const answer = await call(elastic, { method: "POST", path: `/${auditStream}/_search`, body });
      const { hits } = (answer as { hits: { hits: { _source: { event: { id: string } } }[] } }).hits;
      return hits.length >= 3 && hits;
    };
    const found = await until(search, "three events", arrival);
    assert.deepEqual(
      found.map(({ _source }) => _source.event.id),
      ["e-1", "e-2", "e-3"],
    );
    assert.equal(await elastic.count({ term: { "event.dataset": "ordermesh.audit" } }), 0);
    const answer = await call(elastic, { method: "GET", path: `/${auditStream}/_settings?flat_settings=true` });
    for (const { settings } of Object.values(answer as Record<string, { settings: Record<string, string> }>)) {
      assert.equal(settings["index.lifecycle.name"], "ordermesh-audit");
    }
  });

  it("health checks are dropped; lines that are no JSON, and those longer than the runtime's pieces, are not", async () => {
    const { logger, log } = service("shipping");
    logger.info("call answered", { "rpc.service": "grpc.health.v1.Health", "rpc.method": "Check" });
    logger.info("answered", { "url.path": "/healthz" });
    log.write("Error: no JSON, as when the process dies early", "stderr");
    const long = `long ${"äöü€ ".repeat(2500)}end`;
    logger.info(long);
    logger.info("last of shipping");
    const ofShipping = { term: { "container.name": "shipping" } };
    const lines = await arrived(ofShipping, 3);
    assert.deepEqual(
      lines.map(({ _source }) => _source.message).sort(),
      ["Error: no JSON, as when the process dies early", "last of shipping", long].sort(),
    );
  });

  it("nothing is lost and nothing doubled when files rotate, Elasticsearch stops, and Filebeat is killed", async () => {
    const { supervisor, plan } = elastic;
    const { logger, log } = service("worker");
    const ofWorker = { term: { "service.name": "worker" } };
    let written = 0;
    const write = (lines: number) => {
      for (let i = 0; i < lines; i++) logger.info(`activity ${inLetters(++written)} done`);
    };
    write(300);
    await arrived(ofWorker, 1);
    supervisor.kill("elasticsearch", "SIGKILL");
    await ended("elasticsearch");
    write(300);
    log.rotate();
    write(300);
    supervisor.kill("filebeat", "SIGKILL");
    await ended("filebeat");
    write(300);
    log.rotate();
    write(300);
    await startFilebeat(supervisor, plan);
    await supervisor.restart("elasticsearch");
    await arrived(ofWorker, 900);
    supervisor.kill("filebeat", "SIGKILL");
    await ended("filebeat");
    write(100);
    await startFilebeat(supervisor, plan);
    const lines = await arrived(ofWorker, written);
    assert.equal(lines.length, written);
    assert.equal(new Set(lines.map(({ _source }) => _source.message)).size, written);
  });
});
