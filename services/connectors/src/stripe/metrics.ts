import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Answer } from "./stripe-answer.ts";

const requests = {
  name: "stripe_request_seconds",
  help: "How long requests to Stripe took, by endpoint and by what Stripe said: done, refused, misplaced, unsent, failed, lost.",
  labelNames: ["endpoint", "answer"] as const,
  buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
};

const waits = {
  name: "stripe_rate_wait_seconds",
  help: "How long requests waited so that Stripe's limits of rate are kept; those that went at once waited 0.",
  buckets: [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1],
};

const held = {
  name: "stripe_requests_held_total",
  help: "Requests that were not sent because more waited for their turn than can be sent in time.",
  labelNames: ["endpoint"],
} as const;

const webhooks = {
  name: "stripe_webhooks_total",
  help: "Webhooks by what they were answered with: 200; 400 for one that nobody of ours has signed; 503 for one that Stripe has to repeat.",
  labelNames: ["status"],
} as const;

/** Up to the three days in which Stripe repeats a webhook. */
const lag = {
  name: "stripe_webhook_lag_seconds",
  help: "How long before a webhook was taken that happened which it tells of, by Stripe's clock.",
  buckets: [1, 5, 15, 60, 300, 1_800, 7_200, 43_200, 259_200],
};

const seen = {
  name: "stripe_events_seen_timestamp_seconds",
  help: "Until when all that happened at Stripe was looked at, whether webhooks came or not; Unix time.",
};

/** What the connector counts. */
export class StripeMetrics {
  readonly #requests: Histogram<"endpoint" | "answer">;
  readonly #waits: Histogram;
  readonly #held: Counter<"endpoint">;
  readonly #webhooks: Counter<"status">;
  readonly #lag: Histogram;
  readonly #seen: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#requests = new Histogram({ ...requests, registers });
    this.#waits = new Histogram({ ...waits, registers });
    this.#held = new Counter({ ...held, registers });
    this.#webhooks = new Counter({ ...webhooks, registers });
    for (const status of ["200", "400", "503"]) this.#webhooks.inc({ status }, 0);
    this.#lag = new Histogram({ ...lag, registers });
    this.#seen = new Gauge({ ...seen, registers });
  }

  /** A request that was sent, and how long it took, in milliseconds. */
  asked(endpoint: string, answer: Answer<unknown>["said"], ms: number): void {
    this.#requests.observe({ endpoint, answer }, ms / 1_000);
  }

  /** How long a request waited for its turn, in milliseconds. */
  waited(ms: number): void {
    this.#waits.observe(ms / 1_000);
  }

  /** A request that was not sent. */
  held(endpoint: string): void {
    this.#held.inc({ endpoint });
  }

  /** What a webhook was answered with. */
  answered(status: number): void {
    this.#webhooks.inc({ status: String(status) });
  }

  /** A webhook that was taken, of what happened at a Unix time. */
  heard(created: number): void {
    this.#lag.observe(Math.max(0, Date.now() / 1_000 - created));
  }

  /** Until when all was looked at. */
  seen(until: Date): void {
    this.#seen.set(until.getTime() / 1_000);
  }
}
