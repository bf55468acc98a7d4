import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Counter, collectDefaultMetrics, Gauge, Histogram, type OpenMetricsContentType, Registry } from "prom-client";
import { productVersion } from "#platform/version.ts";
import { addProcessMetrics } from "./process-metrics.ts";

/**
 * How often it is looked at how late the event loop is, in milliseconds; what is reported has this much in it. The library's 10 are a hundred
 * times a second, which is half of what a process of ours costs that has nothing to do.
 */
const eventLoopMonitoringPrecision = 50;

/** Makes the registry of a process, with what Node itself can tell and what the platform measures. */
export function createRegistry(name: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service: name });
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision });
  addProcessMetrics(registry);
  new Gauge({
    name: "build_info",
    help: "1; the label says which version runs.",
    labelNames: ["version"],
    registers: [registry],
  }).set({ version: productVersion }, 1);
  return registry;
}

/** Notes how a call ended; `traceId` is that of its trace when it is kept. */
export type RecordCall = (code: number, seconds: number, traceId?: string) => void;

/** The trace id is no label of the series, but of the exemplars. */
type Calls = Histogram<"rpc" | "code" | "trace_id">;

/** Notes calls of one method; the labels of each code are looked up once. */
export function recorderOf(calls: Calls, method: DescMethod): RecordCall {
  const rpc = `${method.parent.typeName}/${method.name}`;
  const children: (Histogram.Internal<"rpc" | "code" | "trace_id"> | undefined)[] = [];
  return (code, seconds, traceId) => {
    const known = children[code];
    if (known && !traceId) return known.observe(seconds);
    const labels = { rpc, code: code === 0 ? "OK" : (Code[code] ?? "Unknown") };
    if (traceId) return calls.observe({ labels, value: seconds, exemplarLabels: { trace_id: traceId } });
    const child = calls.labels(labels);
    children[code] = child;
    child.observe(seconds);
  };
}

function openRegistry(): Registry<OpenMetricsContentType> {
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  return registry;
}

/** Why callers are refused for who they are: reasons of `PlatformErrorReason`. */
const denials = ["CREDENTIAL_MISSING", "CREDENTIAL_REFUSED", "NOT_PERMITTED", "UNAVAILABLE"];

/** Rate, errors and duration of the calls that a process serves: the count of the histogram is the rate. */
export class CallMetrics {
  readonly #duration: Calls;
  readonly #refused: Counter<"class">;
  readonly #denied: Counter<"reason">;

  /** @param inFlight the calls that run now, by class; its keys are all the classes that there are */
  constructor(registry: Registry, inFlight: () => Readonly<Record<string, number>>) {
    this.#duration = new Histogram({
      name: "rpc_server_duration_seconds",
      help: "Duration of served calls by method and gRPC status code.",
      labelNames: ["rpc", "code"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      enableExemplars: true,
      // prom-client lets metrics with exemplars only into a registry of OpenMetrics, and then into any other.
      registers: [openRegistry()],
    });
    registry.registerMetric(this.#duration);
    new Gauge({
      name: "rpc_server_in_flight",
      help: "Calls that run now, by class of admission; waiting: those of callers that wait for something to happen.",
      labelNames: ["class"],
      registers: [registry],
      collect() {
        for (const [name, count] of Object.entries(inFlight())) this.set({ class: name }, count);
      },
    });
    this.#refused = new Counter({
      name: "rpc_server_refused_total",
      help: "Calls that were refused because as many of their class ran as the process takes; waiting: because as many waited.",
      labelNames: ["class"],
      registers: [registry],
      // A class of which nothing was refused is 0, not missing.
      collect() {
        for (const name of Object.keys(inFlight())) this.inc({ class: name }, 0);
      },
    });
    this.#denied = new Counter({
      name: "rpc_server_denied_total",
      help: "Calls that were refused for who called, by reason: without a credential, with one that is not valid, or with one that is not for the call.",
      labelNames: ["reason"],
      registers: [registry],
    });
    for (const reason of denials) this.#denied.inc({ reason }, 0);
  }

  /** Notes that a caller was refused for who it is, by the reason that it was told. */
  denied(reason: string): void {
    this.#denied.inc({ reason });
  }

  /** Notes that there was no place for a call of a class. */
  refused(name: string): void {
    this.#refused.inc({ class: name });
  }

  /** The recorder of one method. */
  forMethod(method: DescMethod): RecordCall {
    return recorderOf(this.#duration, method);
  }
}
