import {
  type Attributes,
  context,
  propagation,
  type Span,
  type SpanOptions,
  SpanStatusCode,
  type TextMapGetter,
  type TextMapSetter,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { PlatformConfig } from "#platform/config.ts";

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

/** The tracer of this process; undefined while no spans are made, and then nothing here costs anything. */
let active: Tracer | undefined;

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
  const { resourceFromAttributes } = await import("@opentelemetry/resources");
  const provider = new sdk.NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": name }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [processor],
  });
  provider.register();
  const tracer = provider.getTracer("ordermesh");
  active = tracer;
  const shutdown = async (): Promise<void> => {
    active = undefined;
    const late = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_TIMEOUT_MS).unref());
    await Promise.race([provider.shutdown(), late]);
  };
  return { tracer, shutdown };
}

/** Whether this process makes spans. */
export function tracing(): boolean {
  return active !== undefined;
}

/** Ends a span as its work ended. */
export function endSpan(span: Span, error?: unknown): void {
  if (error !== undefined) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
    if (error instanceof Error) span.recordException(error);
  }
  span.end();
}

/** A span that the caller ends with {@link endSpan}; undefined when this process makes none. */
export function startSpan(name: string, options: SpanOptions, parent = context.active()): Span | undefined {
  return active?.startSpan(name, options, parent);
}

/** Runs `fn` with the span as the parent of what it starts. */
export function underSpan<T>(span: Span, fn: () => T, parent = context.active()): T {
  return context.with(trace.setSpan(parent, span), fn);
}

/** Runs `fn` in a span of its own; without tracing it just runs `fn`. */
export async function inSpan<T>(name: string, attributes: Attributes, fn: () => Promise<T>): Promise<T> {
  const span = startSpan(name, { attributes });
  if (!span) return fn();
  try {
    const result = await underSpan(span, fn);
    endSpan(span);
    return result;
  } catch (error) {
    endSpan(span, error);
    throw error;
  }
}

/** The context that a caller sent along. */
export function extractContext<C>(carrier: C, getter: TextMapGetter<C>) {
  return propagation.extract(context.active(), carrier, getter);
}

/** Sends the present context along. */
export function injectContext<C>(carrier: C, setter: TextMapSetter<C>): void {
  propagation.inject(context.active(), carrier, setter);
}

/** The running span as W3C `traceparent`; undefined when there is none. */
export function activeTraceParent(): string | undefined {
  const span = active && trace.getActiveSpan()?.spanContext();
  return span && `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, "0")}`;
}

/** The ids of the running span; undefined when there is none. */
export function activeSpanIds(): { traceId: string; spanId: string } | undefined {
  return active ? trace.getActiveSpan()?.spanContext() : undefined;
}
