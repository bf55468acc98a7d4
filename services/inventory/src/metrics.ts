import { Counter, Gauge, type Registry } from "prom-client";
import { type Movement, movementKinds } from "./stock.ts";

/** What the inventory service counts. Every count is of what is committed. */
export class StockMetrics {
  readonly #commands: Counter<"kind" | "outcome">;
  readonly #movements: Counter<"kind">;
  readonly #expired: Counter;
  readonly #low: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#commands = new Counter({
      name: "inventory_stock_commands_total",
      help: "Commands on stock, by kind and outcome: done, or the reason of the refusal.",
      labelNames: ["kind", "outcome"],
      registers,
    });
    this.#movements = new Counter({
      name: "inventory_stock_movements_total",
      help: "Changes of levels, by kind: one for each row of the ledger.",
      labelNames: ["kind"],
      registers,
    });
    // From the beginning, so that the first of them is a rise.
    for (const kind of movementKinds) this.#movements.inc({ kind }, 0);
    this.#expired = new Counter({
      name: "inventory_expired_holds_total",
      help: "Orders whose stock was given back because their hold was over.",
      registers,
    });
    this.#low = new Gauge({
      name: "inventory_low_stock_levels",
      help: "Levels whose available stock is at or below LOW_STOCK_THRESHOLD; 10,000 means at least so many.",
      registers,
    });
  }

  /** Counts commands of one kind that were answered alike. */
  answered(kind: string, outcome: string, count: number): void {
    this.#commands.inc({ kind, outcome }, count);
  }

  /** Counts what became durable with one transaction. */
  moved(movements: readonly Movement[]): void {
    const counts = new Map<Movement["kind"], number>();
    for (const { kind } of movements) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    for (const [kind, count] of counts) this.#movements.inc({ kind }, count);
    if (!counts.has("expiry")) return;
    const ended = movements.flatMap(({ kind, orderId }) => (kind === "expiry" ? [orderId] : []));
    this.#expired.inc(new Set(ended).size);
  }

  /** @param levels as `StockReader.lowLevels` counts them */
  low(levels: number): void {
    this.#low.set(levels);
  }
}
