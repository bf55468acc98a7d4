import { Counter, type Registry } from "prom-client";
import { type ReturnStatus, returnStatuses } from "./order-return.ts";

/** What is counted of returns. */
export class ReturnMetrics {
  readonly #moved: Counter<"status">;

  constructor(registry: Registry) {
    this.#moved = new Counter({
      name: "orders_returns_total",
      help: "Returns that came to a status: requested, approved, received, completed, rejected, cancelled.",
      labelNames: ["status"],
      registers: [registry],
    });
    for (const status of returnStatuses) this.#moved.inc({ status }, 0);
  }

  /** A return came to a status. */
  moved(status: ReturnStatus): void {
    this.#moved.inc({ status });
  }
}
