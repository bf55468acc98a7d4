import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** What an attempt may come to. */
const outcomes = ["succeeded", "refused", "timeout", "connection", "name", "address", "tls"] as const;

export type AttemptOutcome = (typeof outcomes)[number];

/** What there is to do. */
export interface Backlog {
  /** Deliveries to endpoints that are told, as far as they are due. */
  readonly due: number;
  /** Age of the oldest of them, in seconds. */
  readonly ageSeconds: number;
  /** Endpoints by status. */
  readonly enabled: number;
  readonly disabled: number;
  readonly unverified: number;
}

/** What the webhooks service counts. */
export class WebhookMetrics {
  readonly #heard: Counter<"outcome">;
  readonly #attempts: Counter<"outcome">;
  readonly #seconds: Histogram;
  readonly #ended: Counter<"status">;
  readonly #disabled: Counter<"reason">;
  readonly #due: Gauge;
  readonly #age: Gauge;
  readonly #endpoints: Gauge<"status">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#heard = counter(registry, "outcome", {
      name: "webhooks_events_total",
      help: "Events that were read from the stream, by outcome: told (to one endpoint at least) or unwanted.",
      values: ["told", "unwanted"],
    });
    this.#attempts = counter(registry, "outcome", {
      name: "webhooks_attempts_total",
      help: "Requests to endpoints, by outcome: succeeded, refused (any status but 2xx), or what kept them from being answered.",
      values: outcomes,
    });
    this.#seconds = new Histogram({
      name: "webhooks_attempt_seconds",
      help: "How long requests to endpoints took.",
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15],
      registers,
    });
    this.#ended = counter(registry, "status", {
      name: "webhooks_deliveries_total",
      help: "Deliveries that ended, by status; failed: tried as often as they are.",
      values: ["succeeded", "failed"],
    });
    this.#disabled = counter(registry, "reason", {
      name: "webhooks_endpoints_disabled_total",
      help: "Endpoints that were disabled by themselves: gone (they answered 410), or failing (they took nothing for as long as a delivery is tried).",
      values: ["gone", "failing"],
    });
    const { due, age, endpoints } = gauges(registry);
    [this.#due, this.#age, this.#endpoints] = [due, age, endpoints];
  }

  /** Counts events that were read. */
  heard(outcome: "told" | "unwanted", count: number): void {
    this.#heard.inc({ outcome }, count);
  }

  /** Counts an attempt. */
  attempted(outcome: AttemptOutcome, seconds: number): void {
    this.#attempts.inc({ outcome });
    this.#seconds.observe(seconds);
  }

  /** Counts a delivery that has ended. */
  ended(status: "succeeded" | "failed"): void {
    this.#ended.inc({ status });
  }

  /** Counts an endpoint that is told no more. */
  disabled(reason: "gone" | "failing"): void {
    this.#disabled.inc({ reason });
  }

  /** Says how much there is to do. */
  backlog({ due, ageSeconds, ...endpoints }: Backlog): void {
    this.#due.set(due);
    this.#age.set(ageSeconds);
    for (const [status, count] of Object.entries(endpoints)) this.#endpoints.set({ status }, count);
  }
}

function gauges(registry: Registry) {
  const registers = [registry];
  return {
    due: new Gauge({ name: "webhooks_due", help: "Deliveries that are due to endpoints that are told.", registers }),
    age: new Gauge({
      name: "webhooks_due_age_seconds",
      help: "Age of the oldest delivery that is due and was not tried; 0 when there is none.",
      registers,
    }),
    endpoints: new Gauge({
      name: "webhooks_endpoints",
      help: "Endpoints, by status.",
      labelNames: ["status"],
      registers,
    }),
  };
}

interface Counted {
  readonly name: string;
  readonly help: string;
  readonly values: readonly string[];
}

/** A counter whose series begin at 0. */
function counter<Label extends string>(registry: Registry, label: Label, { name, help, values }: Counted) {
  const made = new Counter<Label>({ name, help, labelNames: [label], registers: [registry] });
  for (const value of values) made.inc({ [label]: value } as Record<Label, string>, 0);
  return made;
}
