import { Counter, Gauge, type Registry } from "prom-client";
import type { OldestReturns } from "./order-return.repository.ts";
import { type ReturnStatus, returnStatuses } from "./order-return.ts";

/** What is counted of returns. */
export class ReturnMetrics {
  readonly #moved: Counter<"status">;
  readonly #labels: Counter<"outcome">;
  readonly #oldestReceived: Gauge;
  readonly #oldestUnlabelled: Gauge;

  constructor(registry: Registry) {
    this.#oldestReceived = new Gauge({
      name: "orders_oldest_received_return_seconds",
      help: "How long what came back has waited for its stock and money to be back; 0 when nothing does. Refunds that were granted are not counted.",
      registers: [registry],
    });
    this.#oldestUnlabelled = new Gauge({
      name: "orders_oldest_refused_label_seconds",
      help: "How long an approved return has waited for somebody to name a number, because the carrier has refused its label; 0 when none does.",
      registers: [registry],
    });
    this.#moved = new Counter({
      name: "orders_returns_total",
      help: "Returns that came to a status: requested, approved, received, completed, rejected, cancelled.",
      labelNames: ["status"],
      registers: [registry],
    });
    for (const status of returnStatuses) this.#moved.inc({ status }, 0);
    this.#labels = new Counter({
      name: "orders_return_labels_total",
      help: "Labels of returns that the carrier was asked for, by what it said: made, or refused, also by not answering in time.",
      labelNames: ["outcome"],
      registers: [registry],
    });
    for (const outcome of ["made", "refused"]) this.#labels.inc({ outcome }, 0);
  }

  /** The carrier has said something of a label. */
  labelled(outcome: "made" | "refused"): void {
    this.#labels.inc({ outcome });
  }

  /** A return came to a status. */
  moved(status: ReturnStatus): void {
    this.#moved.inc({ status });
  }

  /** How long the oldest returns have waited. */
  waiting({ received, unlabelled }: OldestReturns): void {
    this.#oldestReceived.set(received);
    this.#oldestUnlabelled.set(unlabelled);
  }
}
