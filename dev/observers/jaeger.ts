import { childEnvironment } from "../config.ts";
import type { ProgramSpec } from "../process/guard-protocol.ts";
import { httpProbe } from "../process/readiness.ts";
import { tool } from "../tools/tool.ts";
import type { Watchable } from "./elk.ts";

/** What a Jaeger listens on, on this machine only. */
export interface JaegerPorts {
  /** Pages and query API. */
  readonly jaeger: number;
  /** Spans as Thrift over HTTP, OTLP over HTTP, Zipkin's JSON. */
  readonly jaegerThrift: number;
  readonly jaegerOtlp: number;
  readonly jaegerZipkin: number;
  /** Health. */
  readonly jaegerAdmin: number;
}

const host = "127.0.0.1";
/** In memory, the oldest go first: some 200 MB when all are those of whole orders. */
const maxTraces = 10_000;

/** Jaeger in one process, which keeps its traces in memory. @throws ToolError when it is not to be had */
export async function jaegerProgram(
  common: Pick<ProgramSpec, "name" | "cwd" | "logFile">,
  ports: JaegerPorts,
): Promise<Watchable> {
  const listen = {
    "query.http-server": ports.jaeger,
    "collector.http-server": ports.jaegerThrift,
    "collector.otlp.http": ports.jaegerOtlp,
    "collector.zipkin": ports.jaegerZipkin,
    "admin.http": ports.jaegerAdmin,
    // Nobody speaks these here; 0 is any port, so that they are in nobody's way.
    "query.grpc-server": 0,
    "collector.grpc-server": 0,
    "collector.otlp.grpc": 0,
    "http-server": 0,
  };
  const processors = ["jaeger-binary", "jaeger-compact", "zipkin-compact"];
  const spec: ProgramSpec = {
    ...common,
    command: await tool("jaeger"),
    args: [
      ...Object.entries(listen).map(([name, port]) => `--${name}.host-port=${host}:${port}`),
      ...processors.map((name) => `--processor.${name}.server-host-port=${host}:0`),
      `--memory.max-traces=${maxTraces}`,
      "--log-level=error",
    ],
    // It would trace itself, and wait at its end for a collector that is not there.
    env: childEnvironment({ SPAN_STORAGE_TYPE: "memory", OTEL_TRACES_SAMPLER: "always_off" }),
    stopSignal: "SIGTERM",
    stopOrder: 2,
  };
  return { spec, probe: httpProbe(`http://${host}:${ports.jaegerAdmin}/`) };
}

/** Where a person sees a trace. A Jaeger built from its Go module alone has no pages; there it is the query API's answer. */
export async function traceUrl(base: string, traceId: string): Promise<string> {
  const page = await fetch(base, { signal: AbortSignal.timeout(2_000) }).then(
    (answer) => answer.text(),
    () => "",
  );
  const hasPages = page !== "" && !page.includes("not the Jaeger UI");
  return hasPages ? `${base}/trace/${traceId}` : `${base}/api/traces/${traceId}`;
}
