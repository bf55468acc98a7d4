// The collector of traces hangs, refuses, goes and comes back while calls are served: none is slow or fails, memory stays
// bounded, what is lost is counted, and the log has one line for each change.
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Client } from "@connectrpc/connect";
import { Registry } from "prom-client";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { addProcessMetrics } from "#platform/metrics/process-metrics.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { Collector } from "#testing/collector.ts";
import { until } from "#testing/until.ts";
import { Conformance, conformanceDefinition, testEnvironment } from "../faces/conformance.ts";

const callerCount = 8;
const callCount = 320;
/** Spans that may wait in the service; each call makes two in this process, the caller's and the server's. */
const queueSize = 100;

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

describe("the loss of the collector under load", () => {
  const collector = new Collector();
  const lines: string[] = [];
  const registry = new Registry();
  addProcessMetrics(registry);
  let service: RunningService;
  let clients: Clients;
  let client: Client<typeof ConformanceService>;

  before(async () => {
    await collector.open();
    const env = {
      ...testEnvironment,
      LOG_LEVEL: "warn",
      OTEL_TRACES_EXPORTER: "jaeger",
      OTEL_EXPORTER_JAEGER_ENDPOINT: `${collector.url}/api/traces`,
      OTEL_BSP_MAX_QUEUE_SIZE: String(queueSize),
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "50",
      OTEL_BSP_SCHEDULE_DELAY: "20",
      OTEL_BSP_EXPORT_TIMEOUT: "1500",
    };
    const output = new Writable({ write: (chunk, _, done) => done(void lines.push(String(chunk))) });
    service = await launch(conformanceDefinition(new Conformance()), env, output);
    clients = new Clients({ defaultTimeoutMs: 10_000, maxMessageBytes: 1e6 });
    client = clients.client(ConformanceService, `127.0.0.1:${service.grpcPort}`);
  });
  after(async () => {
    clients.close();
    await service.drain();
    await collector.close();
  });

  async function spansBy(outcome: string): Promise<number> {
    const metric = registry.getSingleMetric("telemetry_spans_total");
    const values = (await metric?.get())?.values ?? [];
    return values.filter(({ labels }) => labels.outcome === outcome).reduce((sum, { value }) => sum + value, 0);
  }

  async function waiting(): Promise<number> {
    const metric = await registry.getSingleMetric("telemetry_span_queue_size")?.get();
    return metric?.values[0]?.value ?? 0;
  }

  /** Milliseconds that the calls took, sorted; throws when one fails. */
  async function load(): Promise<number[]> {
    const took: number[] = [];
    const caller = async (): Promise<void> => {
      for (let call = 0; call < callCount / callerCount; call += 1) {
        const start = performance.now();
        await client.echo({ text: "x".repeat(60) });
        took.push(performance.now() - start);
      }
    };
    await Promise.all(Array.from({ length: callerCount }, caller));
    return took.toSorted((a, b) => a - b);
  }

  const median = (sorted: number[]): number => sorted[sorted.length >> 1] ?? Number.NaN;

  test("calls go on, memory stays, and everything is counted", async () => {
    const usual = await load();
    await until(async () => (await spansBy("exported")) > callCount, "spans arrive", { deadlineMs: 15_000 });
    assert.deepEqual(lines, []);

    collector.mood = "hangs";
    await load();
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    const hanging = await load();
    await load();
    collectGarbage();
    const grown = process.memoryUsage().heapUsed - before;
    assert.ok(grown < 4e6, `${grown} bytes more`);
    assert.ok((await waiting()) <= queueSize);
    assert.ok((await spansBy("dropped")) > 0);
    assert.ok(collector.hanging <= 6, `${collector.hanging} batches are held`);
    await until(async () => (await spansBy("failed")) > 0, "the failure is counted", { deadlineMs: 15_000 });

    await collector.close();
    const gone = await load();
    await until(async () => (await waiting()) === 0, "what waited is given up", { deadlineMs: 15_000 });
    assert.equal(lines.length, 1, lines.join(""));
    assert.match(lines[0] ?? "", /spans cannot be sent to jaeger and are lost: the collector does not answer/);

    collector.mood = "takes";
    await collector.open();
    const exported = await spansBy("exported");
    const again = await load();
    await until(async () => (await spansBy("exported")) > exported, "spans arrive again", { deadlineMs: 15_000 });
    await until(async () => (await waiting()) === 0, "all are sent", { deadlineMs: 15_000 });
    assert.equal(lines.length, 2, lines.join(""));
    assert.match(lines[1] ?? "", /spans are sent to jaeger again/);

    // Two times and more, because the machine may do something else just then.
    const quiet = Math.max(median(usual), median(again));
    for (const [what, sorted] of Object.entries({ hanging, gone }))
      assert.ok(median(sorted) < 3 * quiet + 5, `${what}: ${median(sorted)} ms, usually ${quiet} ms`);
    const made = 2 * 6 * callCount;
    const counted = async () => (await spansBy("exported")) + (await spansBy("failed")) + (await spansBy("dropped"));
    await until(async () => (await counted()) === made, `all ${made} spans are counted`, { deadlineMs: 15_000 });
  });
});
