import assert from "node:assert/strict";
import { mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../../tools/run.ts";
import { call, RefusedError } from "../elk/setup/client.ts";
import { elasticsearchCalls, type Rule } from "../elk/setup/install.ts";
import { elk, knownFields, read } from "./elk-fields.ts";
import { stream, type TestElastic, testElastic } from "./elk-stack.ts";

describe("Elasticsearch", () => {
  let elastic: TestElastic;
  before(async () => {
    elastic = await testElastic();
  });
  after(() => elastic?.[Symbol.asyncDispose]());

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
