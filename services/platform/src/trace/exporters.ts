import type { SpanExporter } from "@opentelemetry/sdk-trace-base";
import type { PlatformConfig } from "#platform/config.ts";

/** What the exporters read from the configuration. */
export type ExporterConfig = Pick<
  PlatformConfig,
  "OTEL_EXPORTER_OTLP_ENDPOINT" | "OTEL_EXPORTER_JAEGER_ENDPOINT" | "OTEL_EXPORTER_ZIPKIN_ENDPOINT"
>;

/** Where spans can go; `none` is not one of them. */
export type ExporterName = Exclude<PlatformConfig["OTEL_TRACES_EXPORTER"][number], "none">;

/** Every exporter is loaded only when it is used; without an endpoint it is the collector's usual port on this machine. */
const makers: Record<ExporterName, (config: ExporterConfig) => Promise<SpanExporter>> = {
  /** Thrift over HTTP, to a Jaeger collector. */
  jaeger: async ({ OTEL_EXPORTER_JAEGER_ENDPOINT: endpoint = "http://127.0.0.1:14268/api/traces" }) => {
    const { ProcessJaegerExporter } = await import("./jaeger-exporter.ts");
    return new ProcessJaegerExporter(endpoint);
  },
  /** Protobuf over HTTP. */
  otlp: async ({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint = "http://127.0.0.1:4318" }) => {
    const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-proto");
    return new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, "")}/v1/traces` });
  },
  zipkin: async ({ OTEL_EXPORTER_ZIPKIN_ENDPOINT: url = "http://127.0.0.1:9411/api/v2/spans" }) => {
    const { ZipkinExporter } = await import("@opentelemetry/exporter-zipkin");
    return new ZipkinExporter({ url });
  },
  console: async () => {
    const { ConsoleSpanExporter } = await import("@opentelemetry/sdk-trace-base");
    return new ConsoleSpanExporter();
  },
};

/** Makes an exporter. It connects when it first has something to send. */
export function makeExporter(name: ExporterName, config: ExporterConfig): Promise<SpanExporter> {
  return makers[name](config);
}
