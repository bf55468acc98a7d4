// Spans go to the collectors that are configured, all of them, and the last ones when the process drains.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { loadConfig, platformConfig } from "#platform/config.ts";
import { inSpan } from "#platform/trace/spans.ts";
import { startTelemetry } from "#platform/trace/telemetry.ts";
import { Collector } from "#testing/collector.ts";
import { keptLog } from "#testing/logger.ts";
import { testEnvironment } from "../faces/conformance.ts";

describe("exporters", () => {
  const collector = new Collector();
  const kept = keptLog();
  const log = kept.logger;
  before(() => collector.open());
  after(() => collector.close());

  function configOf(exporters: string) {
    return loadConfig(platformConfig, {
      ...testEnvironment,
      OTEL_TRACES_EXPORTER: exporters,
      OTEL_EXPORTER_JAEGER_ENDPOINT: `${collector.url}/api/traces`,
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
      OTEL_EXPORTER_ZIPKIN_ENDPOINT: `${collector.url}/api/v2/spans`,
    });
  }

  const cases = [
    { name: "jaeger", path: "/api/traces", type: "application/x-thrift" },
    { name: "otlp", path: "/v1/traces", type: "application/x-protobuf" },
    { name: "zipkin", path: "/api/v2/spans", type: "application/json" },
  ];

  for (const { name, path, type } of cases) {
    test(`${name}: what waits is sent at the end`, async () => {
      collector.batches.length = 0;
      const telemetry = await startTelemetry("shop", configOf(name), log);
      await inSpan(`the work of ${name}`, {}, async () => undefined);
      await telemetry.shutdown();
      const [batch, ...others] = collector.batches;
      assert.deepEqual([batch?.path, batch?.type, others.length], [path, type, 0]);
      assert.ok(batch?.body.includes(`the work of ${name}`) && batch.body.includes("shop"));
    });
  }

  test("jaeger: what all spans have in common is sent once, as the process", async () => {
    collector.batches.length = 0;
    const telemetry = await startTelemetry("shop", configOf("jaeger"), log);
    for (const name of ["one", "two", "three"]) await inSpan(name, {}, async () => undefined);
    await telemetry.shutdown();
    const [batch] = collector.batches;
    for (const common of ["service.version", "service.instance.id"])
      assert.equal(String(batch?.body).split(common).length, 2);
    assert.ok(["one", "two", "three"].every((name) => batch?.body.includes(name)));
  });

  test("several at once", async () => {
    collector.batches.length = 0;
    const telemetry = await startTelemetry("shop", configOf("jaeger,otlp,zipkin"), log);
    await inSpan("the work", {}, async () => undefined);
    await telemetry.shutdown();
    assert.deepEqual(collector.batches.map(({ path }) => path).toSorted(), cases.map(({ path }) => path).toSorted());
    assert.equal(kept.text(), "");
  });

  test("a collector that hangs does not hold up the end for longer than its deadline", async () => {
    collector.mood = "hangs";
    const telemetry = await startTelemetry("shop", configOf("jaeger,zipkin"), log);
    await inSpan("the work", {}, async () => undefined);
    const start = performance.now();
    await telemetry.shutdown();
    const took = performance.now() - start;
    assert.ok(took > 2_500 && took < 4_500, `${took} ms`);
    assert.equal(collector.hanging, 2);
  });

  test("none makes no spans", async () => {
    const telemetry = await startTelemetry("shop", configOf("none"), log);
    assert.equal(telemetry.tracer, undefined);
    await telemetry.shutdown();
  });
});
