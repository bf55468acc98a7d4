import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { OutsideMetrics } from "../metrics.ts";

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

const unclear = {
  name: "stripe_captures_unclear_total",
  help: "Looks at a capture of which Stripe shows what cannot come of it: somebody else has captured as well, or it was done twice. It stays undetermined.",
};

/** What the connector counts. */
export class StripeMetrics extends OutsideMetrics {
  readonly #lag: Histogram;
  readonly #seen: Gauge;
  readonly #unclear: Counter;

  constructor(registry: Registry) {
    super(registry, { prefix: "stripe", name: "Stripe" });
    const registers = [registry];
    this.#lag = new Histogram({ ...lag, registers });
    this.#seen = new Gauge({ ...seen, registers });
    this.#unclear = new Counter({ ...unclear, registers });
  }

  /** A webhook that was taken, of what happened at a Unix time. */
  heard(created: number): void {
    this.#lag.observe(Math.max(0, Date.now() / 1_000 - created));
  }

  /** A capture of which cannot be said what became of it. */
  unclear(): void {
    this.#unclear.inc();
  }

  /** Until when all was looked at. */
  seen(until: Date): void {
    this.#seen.set(until.getTime() / 1_000);
  }
}
