import { Counter, Gauge, type Registry } from "prom-client";
import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { RetentionRepository } from "./retention.repository.ts";

/** Orders, and customers, that one batch looks at. */
const batch = 100;
/** While there is nothing to do, batches are up to so many times as far apart. */
const rests = 60;

/** What a schedule works with. */
export interface RetentionOptions {
  readonly repository: Pick<RetentionRepository, "forgetOrders" | "dueOrders" | "lookAtCustomers">;
  /** Undefined: no order is forgotten for its age alone. */
  readonly orderDays: number | undefined;
  /** Undefined: no customer is erased who did not ask for it. */
  readonly customerDays: number | undefined;
  /** Whether it is only counted. */
  readonly dryRun: boolean;
  readonly everyMs: number;
  readonly registry: Registry;
  readonly logger: Pick<Logger, "info" | "error">;
  /** Called when customers were erased: their orders may be forgotten too. */
  readonly onErased: () => void;
}

/** Forgets by a schedule, a batch at a time, so that nobody waits for it. */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #relay: Relay;
  readonly #forgotten: Counter<"what">;
  readonly #due: Gauge<"what">;
  /** Customers that this pass found so far. */
  #found = 0;

  constructor(options: RetentionOptions) {
    const { everyMs, logger: log, registry } = options;
    this.#options = options;
    const registers = [registry];
    this.#forgotten = new Counter({
      name: "orders_retention_forgotten_total",
      help: "Persons that were forgotten by the schedule: orders, customers.",
      labelNames: ["what"],
      registers,
    });
    this.#due = new Gauge({
      name: "orders_retention_due",
      help: "Orders that the schedule has to forget yet, at most 10,000; customers that the last pass over all of them found.",
      labelNames: ["what"],
      registers,
    });
    for (const what of ["orders", "customers"]) {
      this.#forgotten.inc({ what }, 0);
      this.#due.set({ what }, 0);
    }
    // However much there is: a batch, then a pause.
    const pace = { spacingMs: everyMs, full: Number.POSITIVE_INFINITY };
    const sweep = () => this.sweep();
    this.#relay = new Relay({ name: "customer.retention", everyMs, restMs: rests * everyMs, pace, sweep, log });
  }

  start(): void {
    const { orderDays, customerDays } = this.#options;
    if (orderDays !== undefined || customerDays !== undefined) this.#relay.start();
  }

  stop(): Promise<void> {
    return this.#relay.stop();
  }

  /** One batch of orders and one of customers; returns how many were forgotten, or would be. */
  async sweep(): Promise<number> {
    return (await this.#orders()) + (await this.#customers());
  }

  async #orders(): Promise<number> {
    const { repository, orderDays: days, dryRun, logger } = this.#options;
    if (days === undefined) return 0;
    const count = await repository.forgetOrders({ days, limit: batch, dryRun });
    const due = dryRun || count === batch ? await repository.dueOrders(days) : 0;
    this.#forgotten.inc({ what: "orders" }, count);
    this.#due.set({ what: "orders" }, due);
    if (count > 0) logger.info(`retention: ${count} orders say nothing of who ordered any more, ${due} are due yet`);
    else if (due > 0) logger.info(`retention, dry run: ${due} orders would be forgotten`);
    return count;
  }

  async #customers(): Promise<number> {
    const { repository, customerDays: days, dryRun, logger, onErased } = this.#options;
    if (days === undefined) return 0;
    const { found, over } = await repository.lookAtCustomers({ days, limit: batch, dryRun });
    this.#found += found;
    if (found > 0 && !dryRun) {
      this.#forgotten.inc({ what: "customers" }, found);
      logger.info(`retention: ${found} customers were erased who have not ordered for ${days} days`);
      onErased();
    }
    if (!over) return 1;
    this.#due.set({ what: "customers" }, this.#found);
    if (dryRun && this.#found > 0) logger.info(`retention, dry run: ${this.#found} customers would be erased`);
    this.#found = 0;
    return 0;
  }
}
