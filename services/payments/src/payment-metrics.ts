import { Counter, Gauge, type Registry } from "prom-client";
import type { OperationRepository } from "./operation.repository.ts";
import type { Ticket } from "./recording.ts";

/** What the payments service counts. */
export class PaymentMetrics {
  readonly #decided: Counter<"kind" | "outcome">;
  readonly #undecided: Gauge;
  readonly #age: Gauge;

  constructor(registry: Registry) {
    this.#decided = new Counter({
      name: "payments_operations_total",
      help: "Operations that the gateway decided, by kind and outcome.",
      labelNames: ["kind", "outcome"],
      registers: [registry],
    });
    this.#undecided = new Gauge({
      name: "payments_undecided_operations",
      help: "Operations that were sent and are not decided.",
      registers: [registry],
    });
    this.#age = new Gauge({
      name: "payments_undecided_age_seconds",
      help: "Age of the oldest operation that is not decided.",
      registers: [registry],
    });
  }

  /** Counts a decided operation. */
  decided({ operation }: Ticket): void {
    this.#decided.inc({ kind: operation.kind, outcome: operation.state });
  }

  /** Looks how much is undecided. */
  async refresh(repository: OperationRepository): Promise<void> {
    const { undecided, oldest } = await repository.backlog();
    this.#undecided.set(undecided);
    this.#age.set(oldest ? (Date.now() - oldest.getTime()) / 1_000 : 0);
  }
}
