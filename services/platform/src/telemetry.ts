import { context, propagation, type TextMapGetter, type TextMapSetter, type Tracer } from "@opentelemetry/api";
import type { SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { PlatformConfig } from "#platform/config.ts";
import { useTracing } from "#platform/spans.ts";

/** What tracing reads from the configuration. */
export type TelemetryConfig = Pick<
  PlatformConfig,
  "OTEL_TRACES_EXPORTER" | "OTEL_EXPORTER_OTLP_ENDPOINT" | "OTEL_EXPORTER_JAEGER_ENDPOINT" | "OTEL_TRACES_SAMPLER_ARG"
>;

/** Tracing of one process. */
export interface Telemetry {
  /** Undefined when no spans are made. */
  readonly tracer: Tracer | undefined;
  /** Sends what waits and ends tracing. */
  shutdown(): Promise<void>;
}

/** How long the last spans may take to be sent, in milliseconds. */
const FLUSH_TIMEOUT_MS = 3_000;

/** Default of `TRACE_MAX_AGE_MS`. */
const HOUR_MS = 3_600_000;

async function makeExporter(config: TelemetryConfig): Promise<SpanExporter> {
  if (config.OTEL_TRACES_EXPORTER === "otlp") {
    const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-proto");
    const base = (config.OTEL_EXPORTER_OTLP_ENDPOINT ?? "http://127.0.0.1:4318").replace(/\/$/, "");
    return new OTLPTraceExporter({ url: `${base}/v1/traces` });
  }
  if (config.OTEL_TRACES_EXPORTER === "jaeger") {
    const { JaegerExporter } = await import("@opentelemetry/exporter-jaeger");
    const endpoint = config.OTEL_EXPORTER_JAEGER_ENDPOINT ?? "http://127.0.0.1:14268/api/traces";
    return new JaegerExporter({ endpoint });
  }
  const { ConsoleSpanExporter } = await import("@opentelemetry/sdk-trace-node");
  return new ConsoleSpanExporter();
}

/**
 * Starts tracing as configured and registers it for the whole process: W3C propagation of trace context and baggage,
 * sent in batches, sampled as the caller decided or else by ratio. With the exporter `none` no spans are made at all.
 */
export async function startTelemetry(name: string, config: TelemetryConfig): Promise<Telemetry> {
  if (config.OTEL_TRACES_EXPORTER === "none") return { tracer: undefined, shutdown: async () => undefined };
  const { BatchSpanProcessor } = await import("@opentelemetry/sdk-trace-node");
  const processor = new BatchSpanProcessor(await makeExporter(config));
  return recordSpans(name, processor, config.OTEL_TRACES_SAMPLER_ARG);
}

/** Makes spans and hands them to the given processor; `ratio` is the share of new traces that is kept. */
export async function recordSpans(name: string, processor: SpanProcessor, ratio: number): Promise<Telemetry> {
  const sdk = await import("@opentelemetry/sdk-trace-node");
  const { LinkedSampler } = await import("#platform/sampler.ts");
  const { resourceFromAttributes } = await import("@opentelemetry/resources");
  const provider = new sdk.NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": name }),
    sampler: new sdk.ParentBasedSampler({ root: new LinkedSampler(new sdk.TraceIdRatioBasedSampler(ratio)) }),
    spanProcessors: [processor],
  });
  provider.register();
  const tracer = provider.getTracer("ordermesh");
  useTracing({ tracer, ratio, maxAgeMs: HOUR_MS });
  const shutdown = async (): Promise<void> => {
    useTracing(undefined);
    const late = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_TIMEOUT_MS).unref());
    await Promise.race([provider.shutdown(), late]);
  };
  return { tracer, shutdown };
}

/** The context that a caller sent along. */
export function extractContext<C>(carrier: C, getter: TextMapGetter<C>) {
  return propagation.extract(context.active(), carrier, getter);
}

/** Sends the present context along. */
export function injectContext<C>(carrier: C, setter: TextMapSetter<C>): void {
  propagation.inject(context.active(), carrier, setter);
}
