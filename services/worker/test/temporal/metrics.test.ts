import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { Client } from "@temporalio/client";
import { Registry } from "prom-client";
import { listenOn } from "#platform/listen.ts";
import { openMetrics } from "#platform/metrics/open-metrics.ts";
import { quietLogger } from "#testing/logger.ts";
import { until } from "#testing/until.ts";
import { parseMetrics, showCoreMetrics } from "../../src/temporal/core-metrics.ts";
import { countParked, showParkedSteps } from "../../src/temporal/parked-metric.ts";
import { LegacyStage } from "../legacy/legacy-stage.ts";
import { dataConverter } from "../stage/encryption.ts";
import { anOrder } from "../stage/harness.ts";
import { patient } from "../stage/stage.ts";
import { on } from "../world/rules.ts";

const text = `# HELP temporal_request_total Count of client request successes by rpc name
# TYPE temporal_request_total counter
temporal_request_total{namespace="default",operation="PollWorkflowTaskQueue"} 5
temporal_request_total{namespace="a \\"quoted\\" name",operation="X"} 1
# HELP temporal_request_latency_seconds Histogram of client request latencies
# TYPE temporal_request_latency_seconds histogram
temporal_request_latency_seconds_bucket{operation="X",le="0.05"} 1
temporal_request_latency_seconds_bucket{operation="X",le="+Inf"} 2
temporal_request_latency_seconds_sum{operation="X"} 0.5
temporal_request_latency_seconds_count{operation="X"} 2
# HELP temporal_sticky_cache_size Current number of cached workflows
# TYPE temporal_sticky_cache_size gauge
temporal_sticky_cache_size 3
`;

describe("what Temporal's core measures", () => {
  const core = createServer((_, response) => response.end(text));
  let url: string;
  before(async () => {
    url = `http://127.0.0.1:${await listenOn(core, "127.0.0.1", 0)}/metrics`;
  });
  after(() => core.close());

  test("is read", () => {
    const [request, latency, cache] = parseMetrics(text);
    assert.deepEqual(
      [request, latency, cache].map((family) => [family?.name, family?.type, family?.values.length]),
      [
        ["temporal_request_total", "counter", 2],
        ["temporal_request_latency_seconds", "histogram", 4],
        ["temporal_sticky_cache_size", "gauge", 1],
      ],
    );
    assert.equal(request?.values[1]?.labels.namespace, 'a "quoted" name');
  });

  test("is shown with ours, in both formats, from the second scrape on", async () => {
    const registry = new Registry();
    registry.setDefaultLabels({ service: "worker" });
    showCoreMetrics(registry, url);
    assert.match(await registry.metrics(), /temporal_core_metrics_up\{service="worker"\} 1/);
    const shown = await registry.metrics();
    for (const line of [
      "# TYPE temporal_request_total counter",
      'temporal_request_total{namespace="default",operation="PollWorkflowTaskQueue",service="worker"} 5',
      "# TYPE temporal_request_latency_seconds histogram",
      'temporal_request_latency_seconds_bucket{operation="X",le="+Inf",service="worker"} 2',
      'temporal_sticky_cache_size{service="worker"} 3',
    ]) {
      assert.ok(shown.includes(line), `${line} is not in\n${shown}`);
    }
    const open = (await openMetrics(registry)).text;
    assert.match(open, /# TYPE temporal_request counter\ntemporal_request_total\{/);
  });

  test("does not cost the other metrics when it is not told", async () => {
    const registry = new Registry();
    showCoreMetrics(registry, "http://127.0.0.1:1/metrics");
    assert.match(await registry.metrics(), /temporal_core_metrics_up 0/);
  });
});

describe("the steps that wait for an operator", () => {
  let stage: LegacyStage;
  before(async () => {
    stage = await LegacyStage.open();
  });
  after(() => stage?.close());

  test("are counted by whoever looks, one for each order, until they go on", async () => {
    const client = new Client({ connection: stage.environment.nativeConnection, dataConverter });
    const orders = [anOrder(), anOrder(), anOrder()];
    const ids = orders.slice(0, 2).map(({ orderId }) => orderId);
    const rules = ids.map((orderId) => on("commit", { kind: "refuse", reason: "NOT_CONFIRMED" }, { orderId }));
    const handle = await stage.start(orders, rules);
    await until(async () => (await countParked(client)) === 2, "two orders are parked", patient);
    const registry = new Registry();
    showParkedSteps(registry, client, quietLogger());
    assert.match(await registry.metrics(), /^saga_parked_steps 2$/m);
    await handle.terminate();
    await until(async () => (await countParked(client)) === 0, "none is parked", patient);
  });
});
