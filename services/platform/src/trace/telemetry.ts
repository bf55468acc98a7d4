import { hostname } from "node:os";
import { context, propagation, type Tracer, trace } from "@opentelemetry/api";
import type { SpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { Logger } from "winston";
import type { PlatformConfig } from "#platform/config.ts";
import { productVersion } from "#platform/version.ts";
import type { ExporterConfig, ExporterName } from "./exporters.ts";
import { useTracing } from "./spans.ts";

/** What tracing reads from the configuration. */
export type TelemetryConfig = ExporterConfig &
  Pick<
    PlatformConfig,
    | "OTEL_TRACES_EXPORTER"
    | "OTEL_TRACES_SAMPLER_ARG"
    | "OTEL_BSP_MAX_QUEUE_SIZE"
    | "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
    | "OTEL_BSP_SCHEDULE_DELAY"
    | "OTEL_BSP_EXPORT_TIMEOUT"
    | "TRACE_MAX_AGE_MS"
  >;

/** Tracing of one process. */
export interface Telemetry {
  /** Undefined when no spans are made. */
  readonly tracer: Tracer | undefined;
  /** Changes the share of new traces that is kept, from 0 to 1. */
  keep(ratio: number): void;
  /** Sends what waits, for at most 3 s, and ends tracing. */
  shutdown(): Promise<void>;
}

/** Which traces are kept. */
export interface SamplingSettings {
  /** The share of new traces that is kept, from 0 to 1. */
  readonly ratio: number;
  /** See `TRACE_MAX_AGE_MS`; an hour unless given. */
  readonly maxAgeMs?: number;
}

/** How long the last spans may take to be sent, in milliseconds. */
const flushTimeoutMs = 3_000;
const hourMs = 3_600_000;
/** A statement may serve as many callers as a batcher takes together; OpenTelemetry's default is 128. */
const mostLinks = 512;
/** Of an attribute, in characters: a stack trace may be long. */
const longestValue = 4_096;

async function queueFor(
  name: ExporterName,
  config: TelemetryConfig,
  log: Pick<Logger, "warn">,
): Promise<SpanProcessor> {
  const [{ makeExporter }, { GuardedExporter }, { SpanQueue }] = await Promise.all([
    import("./exporters.ts"),
    import("./guarded-exporter.ts"),
    import("./span-queue.ts"),
  ]);
  const timeoutMs = config.OTEL_BSP_EXPORT_TIMEOUT;
  return new SpanQueue({
    name,
    exporter: new GuardedExporter({ name, exporter: await makeExporter(name, config), timeoutMs, log }),
    maxWaiting: config.OTEL_BSP_MAX_QUEUE_SIZE,
    maxBatch: config.OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    delayMs: config.OTEL_BSP_SCHEDULE_DELAY,
    // The guard gives up first, so that it is counted once.
    timeoutMs: timeoutMs + 1_000,
  });
}

/**
 * Starts tracing as configured and registers it for the whole process: W3C propagation of trace context and baggage,
 * sent in batches to each exporter, sampled as the caller decided or else by ratio. With the exporter `none` no spans are
 * made at all.
 */
export async function startTelemetry(
  name: string,
  config: TelemetryConfig,
  log: Pick<Logger, "warn">,
): Promise<Telemetry> {
  const exporters = config.OTEL_TRACES_EXPORTER.filter((exporter) => exporter !== "none");
  if (exporters.length === 0) {
    return { tracer: undefined, keep: () => undefined, shutdown: async () => undefined };
  }
  const queues = await Promise.all(exporters.map((exporter) => queueFor(exporter, config, log)));
  return recordSpans(name, queues, { ratio: config.OTEL_TRACES_SAMPLER_ARG, maxAgeMs: config.TRACE_MAX_AGE_MS });
}

/** Makes spans and hands them to the given processors. */
export async function recordSpans(
  name: string,
  processors: SpanProcessor[],
  { ratio, maxAgeMs = hourMs }: SamplingSettings,
): Promise<Telemetry> {
  const sdk = await import("@opentelemetry/sdk-trace-node");
  const { resourceFromAttributes } = await import("@opentelemetry/resources");
  const { LinkedSampler } = await import("./sampler.ts");
  const { SpanRedaction } = await import("./span-redaction.ts");
  const sampler = new LinkedSampler(new sdk.TraceIdRatioBasedSampler(ratio));
  const provider = new sdk.NodeTracerProvider({
    resource: resourceFromAttributes({
      "service.name": name,
      "service.version": productVersion,
      "service.instance.id": `${hostname()}/${process.pid}`,
    }),
    sampler: new sdk.ParentBasedSampler({ root: sampler }),
    spanLimits: { linkCountLimit: mostLinks, attributeValueLengthLimit: longestValue },
    spanProcessors: [new SpanRedaction(), ...processors],
  });
  provider.register();
  const tracer = provider.getTracer("ordermesh");
  useTracing({ tracer, ratio, maxAgeMs });
  const keep = (ratio: number) => {
    sampler.use(new sdk.TraceIdRatioBasedSampler(ratio));
    useTracing({ tracer, ratio, maxAgeMs });
  };
  const shutdown = async (): Promise<void> => {
    useTracing(undefined);
    const late = new Promise<void>((resolve) => setTimeout(resolve, flushTimeoutMs).unref());
    await Promise.race([provider.shutdown().catch(() => undefined), late]);
    for (const api of [trace, propagation, context]) api.disable();
  };
  return { tracer, keep, shutdown };
}
