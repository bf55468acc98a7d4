import { Counter, Gauge, Histogram, type Metric, type Registry } from "prom-client";

// What the platform measures by itself. A process has each of these once, whatever its registries; names, labels and
// their values come from code, never from callers.

const all: Metric[] = [];

/** Not registered by itself: {@link addProcessMetrics} adds it to the registry of a process. */
function own<M extends Metric>(metric: M): M {
  all.push(metric);
  return metric;
}

const callBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const statementBuckets = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Calls that this process made, by method and gRPC status code. */
export const clientCalls = own(
  new Histogram<"rpc" | "code" | "trace_id">({
    name: "rpc_client_duration_seconds",
    help: "Duration of calls made to other services, by method and gRPC status code.",
    labelNames: ["rpc", "code"],
    buckets: callBuckets,
    registers: [],
  }),
);

/** What became of calls to those outside, behind a breaker. */
export const connectorCalls = own(
  new Counter<"connector" | "outcome">({
    name: "connector_calls_total",
    help: "Calls to what is outside, by what came of them: answered, failed (without an answer), held_back (not made, since nobody answers).",
    labelNames: ["connector", "outcome"],
    registers: [],
  }),
);

/** SQL statements by the name that the code gives them; `unnamed` are those that have none. */
export const statements = own(
  new Histogram({
    name: "database_statement_duration_seconds",
    help: "Duration of SQL statements by name, as the process sees it.",
    labelNames: ["statement", "outcome"],
    buckets: statementBuckets,
    registers: [],
  }),
);

/** How many entries the lists of a batcher have. */
export const listEntries = own(
  new Histogram({
    name: "batcher_list_entries",
    help: "Entries of the lists that a batcher runs.",
    labelNames: ["batcher"],
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
    registers: [],
  }),
);

/** How long the entry of a list that came first had waited. */
export const listWaits = own(
  new Histogram({
    name: "batcher_wait_seconds",
    help: "How long the oldest entry of a list waited for its turn.",
    labelNames: ["batcher"],
    buckets: callBuckets,
    registers: [],
  }),
);

/** Runs of the loops that do what time or a crash left to do. */
export const relayRuns = own(
  new Counter({
    name: "relay_runs_total",
    help: "Sweeps of background loops by outcome: worked, idle, failed.",
    labelNames: ["relay", "outcome"],
    registers: [],
  }),
);

/** When a loop last did what it is there for, even if there was nothing to do. One that never has counts from when it began. */
export const relaySuccess = own(
  new Gauge({
    name: "relay_last_success_timestamp_seconds",
    help: "When a background loop last swept without a failure, in seconds since 1970; until it has, when it began.",
    labelNames: ["relay"],
    registers: [],
  }),
);

/** How seldom a loop sweeps when there is nothing to do: one that is longer away has stalled. */
export const relayInterval = own(
  new Gauge({
    name: "relay_interval_seconds",
    help: "How long a background loop pauses at most between two sweeps that do not fail.",
    labelNames: ["relay"],
    registers: [],
  }),
);

/** What became of the spans of this process. */
export const spans = own(
  new Counter({
    name: "telemetry_spans_total",
    help: "Spans by exporter and outcome: exported, failed (not taken by the collector), dropped (the queue was full).",
    labelNames: ["exporter", "outcome"],
    registers: [],
  }),
);

/** Lines of the log. */
export const logLines = own(
  new Counter({
    name: "log_lines_total",
    help: "Log lines that were written, by level.",
    labelNames: ["level"],
    registers: [],
  }),
);

/** Lines that nobody took in time. */
export const logDropped = own(
  new Counter({
    name: "log_lines_dropped_total",
    help: "Log lines that were lost because too many waited for standard output.",
    registers: [],
  }),
);

/** From when to when the certificate is valid that the process shows; nothing without TLS. */
export const tlsCertificateValidity = own(
  new Gauge({
    name: "tls_certificate_validity_timestamp_seconds",
    help: "From when (begin) until when (end) the certificate in use is valid, in seconds since 1970.",
    labelNames: ["edge"],
    registers: [],
  }),
);

/** Whose values a {@link sampled} gauge shows: one per instance, added up by the values of the label. */
export type Reading<L extends string> = () => Iterable<readonly [labels: Readonly<Record<L, string>>, value: number]>;

/** A gauge that asks those who know when it is scraped. */
export class Sampled<L extends string> {
  readonly #readings = new Set<Reading<L>>();

  constructor(name: string, help: string, labelNames: readonly L[]) {
    const readings = this.#readings;
    own(
      new Gauge<L>({
        name,
        help,
        labelNames: [...labelNames],
        registers: [],
        collect() {
          this.reset();
          for (const reading of readings) for (const [labels, value] of reading()) this.inc(labels, value);
        },
      }),
    );
  }

  /** Begins to show what this reads; the returned function ends it. */
  add(reading: Reading<L>): () => void {
    this.#readings.add(reading);
    return () => this.#readings.delete(reading);
  }
}

/** Entries that wait in batchers. */
export const waitingEntries = new Sampled("batcher_waiting", "Entries that wait in a batcher now.", ["batcher"]);
/** Spans that wait for an exporter. */
export const waitingSpans = new Sampled("telemetry_span_queue_size", "Spans that wait to be sent now.", ["exporter"]);
/** Connections of the database pool. */
export const poolConnections = new Sampled(
  "database_pool_connections",
  "Connections of the pool by state: busy, idle.",
  ["state"],
);
/** Whether those outside are called: `half_open` while one call tries whether somebody is there. */
export type BreakerState = "closed" | "half_open" | "open";
/** The states of breakers. */
export const breakerStates = new Sampled<"connector" | "state">(
  "connector_breaker_state",
  "1 for the state that the breaker before what is outside has: closed (it is called), open (it does not answer, and is not), half_open (it is tried).",
  ["connector", "state"],
);
/** Statements that wait for a connection. */
export const poolWaiting = new Sampled("database_pool_waiting", "Statements that wait for a connection now.", []);
/** The bound of the pool. */
export const poolMax = new Sampled("database_pool_max", "Connections that the pool may have.", []);
/** Log lines on their way to standard output. */
export const logLag = new Sampled("log_lag_bytes", "Bytes of log lines that wait for standard output now.", []);

/** Shows all of these in the registry of a process. */
export function addProcessMetrics(registry: Registry): void {
  for (const metric of all) registry.registerMetric(metric);
}
