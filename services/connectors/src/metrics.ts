import { Counter, Histogram, type Registry } from "prom-client";

/** Whom a connector reaches. */
export interface Outside {
  /** What its metrics begin with. */
  readonly prefix: string;
  /** As people call it. */
  readonly name: string;
}

/** What a connector counts of requests to the outside, and of webhooks from there. */
export class OutsideMetrics {
  readonly #requests: Histogram<"endpoint" | "answer">;
  readonly #waits: Histogram;
  readonly #held: Counter<"endpoint">;
  readonly #webhooks: Counter<"status">;

  constructor(registry: Registry, { prefix, name }: Outside) {
    const registers = [registry];
    this.#requests = new Histogram({
      name: `${prefix}_request_seconds`,
      help: `How long requests to ${name} took, by endpoint and by what was answered: done, refused, unsent, lost, and others.`,
      labelNames: ["endpoint", "answer"],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60],
      registers,
    });
    this.#waits = new Histogram({
      name: `${prefix}_rate_wait_seconds`,
      help: `How long requests waited so that ${name}'s limits of rate are kept; those that went at once waited 0.`,
      buckets: [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1],
      registers,
    });
    this.#held = new Counter({
      name: `${prefix}_requests_held_total`,
      help: "Requests that were not sent because more waited for their turn than can be sent in time.",
      labelNames: ["endpoint"],
      registers,
    });
    this.#webhooks = new Counter({
      name: `${prefix}_webhooks_total`,
      help: `Webhooks by what they were answered with: 200; 400 for one that nobody of ours has signed; 503 for one that ${name} has to repeat.`,
      labelNames: ["status"],
      registers,
    });
    for (const status of ["200", "400", "503"]) this.#webhooks.inc({ status }, 0);
  }

  /** A request that was sent, and how long it took, in milliseconds. */
  asked(endpoint: string, answer: string, ms: number): void {
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
}
