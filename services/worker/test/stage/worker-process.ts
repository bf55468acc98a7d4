/**
 * A worker in a process of its own, to be killed: `node worker-process.ts <temporal> <shop> <bundle>`. It tells its parent
 * when it is ready, and each span that ended.
 */
import { createConnectTransport } from "@connectrpc/connect-node";
import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import { type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";
import { Registry } from "prom-client";
import { recordSpans } from "#platform/trace/telemetry.ts";
import { createActivities } from "../../src/activities/create-activities.ts";
import { createSagaMetrics } from "../../src/activities/metrics.ts";
import { workOf } from "../../src/temporal/temporal-worker.ts";
import { dataConverter } from "./encryption.ts";
import { clientsOver, fastLong, taskQueue } from "./harness.ts";
import type { ToldSpan } from "./killable.ts";

const [, , address = "", baseUrl = "", codePath = ""] = process.argv;
// Without its parent there is nobody to end it.
process.on("disconnect", () => process.exit());

await recordSpans("worker", [new SimpleSpanProcessor({ export: tellSpans, shutdown: async () => undefined })], {
  ratio: 1,
});

Runtime.install({ logger: new DefaultLogger("ERROR") });
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address }),
  taskQueue,
  ...workOf(
    { codePath },
    createActivities(
      clientsOver(createConnectTransport({ baseUrl, httpVersion: "2" })),
      fastLong,
      createSagaMetrics(new Registry()),
    ),
    dataConverter,
  ),
  stickyQueueScheduleToStartTimeout: "500ms",
});
process.send?.("ready");
await worker.run();

function tellSpans(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
  for (const span of spans) {
    const { name, attributes } = span;
    process.send?.({ name, attributes, traceId: span.spanContext().traceId } satisfies ToldSpan);
  }
  done({ code: ExportResultCode.SUCCESS });
}
