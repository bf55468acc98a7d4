import { Counter, Gauge, type Registry } from "prom-client";
import type { OldestReturns } from "./order-return.repository.ts";
import { type ReturnStatus, returnStatuses } from "./order-return.ts";
import type { ReturnExchange } from "./return-exchange.ts";

/** Why orders itself refuses exchanges, in small letters. What else is said comes from payments, whose reasons are many. */
const refusals = ["card_needed", "customer_gone", "return_cancelled", "return_rejected", "not_made"] as const;
const notCredited = "not_credited";

/** What is counted of returns. */
export class ReturnMetrics {
  readonly #moved: Counter<"status">;
  readonly #labels: Counter<"outcome">;
  readonly #exchanges: Counter<"outcome">;
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
    this.#exchanges = new Counter({
      name: "orders_exchanges_total",
      help: `Exchanges that were decided: made, or why nothing is sent and all is paid back: ${refusals.join(", ")}, or not_credited, for what payments says.`,
      labelNames: ["outcome"],
      registers: [registry],
    });
    for (const outcome of ["made", ...refusals, notCredited]) this.#exchanges.inc({ outcome }, 0);
  }

  /** What became of an exchange; nothing is counted while it is wanted. */
  exchanged(exchange: Pick<ReturnExchange, "state" | "reason"> | undefined): void {
    if (exchange?.state === "made") this.#exchanges.inc({ outcome: "made" });
    if (exchange?.state !== "refused") return;
    const reason = exchange.reason.toLowerCase();
    this.#exchanges.inc({ outcome: refusals.find((known) => known === reason) ?? notCredited });
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
