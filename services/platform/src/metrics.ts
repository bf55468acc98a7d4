import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** Makes the registry of a process, with what Node itself can tell. */
export function createRegistry(name: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service: name });
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Notes how a call ended. */
export type RecordCall = (code: number, seconds: number) => void;

/** Rate, errors and duration of the calls that a process serves: the count of the histogram is the rate. */
export class CallMetrics {
  readonly #duration: Histogram<"rpc" | "code">;

  constructor(registry: Registry, inFlight: () => number) {
    this.#duration = new Histogram({
      name: "rpc_server_duration_seconds",
      help: "Duration of served calls by method and gRPC status code.",
      labelNames: ["rpc", "code"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers: [registry],
    });
    new Gauge({
      name: "rpc_server_in_flight",
      help: "Calls that run now.",
      registers: [registry],
      collect() {
        this.set(inFlight());
      },
    });
  }

  /** The recorder of one method; the labels of each code are looked up once. */
  forMethod(method: DescMethod): RecordCall {
    const rpc = `${method.parent.typeName}/${method.name}`;
    const children: (Histogram.Internal<"rpc" | "code"> | undefined)[] = [];
    return (code, seconds) => {
      const known = children[code];
      if (known) return known.observe(seconds);
      const child = this.#duration.labels({ rpc, code: code === 0 ? "OK" : (Code[code] ?? "Unknown") });
      children[code] = child;
      child.observe(seconds);
    };
  }
}
