import { Counter, Histogram, type Registry } from "prom-client";
import type { BatcherMetrics } from "#platform/database/batcher.ts";

/** What the inventory service counts. */
export class StockMetrics implements BatcherMetrics {
  readonly #entries: Histogram;
  readonly #wait: Histogram;
  readonly #commands: Counter<"command" | "outcome">;

  constructor(registry: Registry) {
    this.#entries = new Histogram({
      name: "inventory_list_entries",
      help: "Commands in one transaction.",
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
      registers: [registry],
    });
    this.#wait = new Histogram({
      name: "inventory_list_wait_seconds",
      help: "How long the first command of a transaction had waited for it.",
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1],
      registers: [registry],
    });
    this.#commands = new Counter({
      name: "inventory_stock_commands_total",
      help: "Commands on stock, by kind and outcome: done, or the reason of the refusal.",
      labelNames: ["command", "outcome"],
      registers: [registry],
    });
  }

  taken(entries: number, oldestWaitMs: number): void {
    this.#entries.observe(entries);
    this.#wait.observe(oldestWaitMs / 1_000);
  }

  /** Counts commands of one kind that were answered alike. */
  answered(command: string, outcome: string, count: number): void {
    this.#commands.inc({ command, outcome }, count);
  }
}
