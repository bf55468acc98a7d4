import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "#platform/log/logger.ts";
import type { Order } from "../order/order.ts";

/** Told the state of an order after each change that was heard of; changes that follow each other closely come as one. */
export type OrderListener = (order: Order) => void;

/** What a hub works with. */
export interface ChangeHubOptions {
  /** Reads the orders that exist among the given ids. */
  readonly read: (orderIds: readonly string[]) => Promise<Order[]>;
  readonly logger: Pick<Logger, "warn">;
}

/** Orders in one read. */
const readLimit = 256;
const firstRetryMs = 50;
const maxRetryMs = 2_000;

/**
 * Tells everybody in this process who waits for an order what became of it. The database announces which orders changed;
 * those that somebody here waits for are read together, one read at a time.
 */
export class ChangeHub {
  readonly #options: ChangeHubOptions;
  readonly #listeners = new Map<string, Set<OrderListener>>();
  readonly #changed = new Set<string>();
  readonly #stopped = new AbortController();
  #reading: Promise<void> | undefined;

  constructor(options: ChangeHubOptions) {
    this.#options = options;
  }

  /** How many orders are waited for. */
  get size(): number {
    return this.#listeners.size;
  }

  /** Hears of an order's changes from now on, until the returned function is called. */
  subscribe(orderId: string, listener: OrderListener): () => void {
    const listeners = this.#listeners.get(orderId) ?? new Set();
    this.#listeners.set(orderId, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(orderId) === listeners) this.#listeners.delete(orderId);
    };
  }

  /** Takes a payload: ids separated by commas, or nothing, which means that any order may have changed. */
  heard(payload: string): void {
    const ids = payload === "" ? this.#listeners.keys() : payload.split(",");
    for (const id of ids) if (this.#listeners.has(id)) this.#changed.add(id);
    if (this.#changed.size > 0) this.#reading ??= this.#readAll();
  }

  /** Reads no more; resolves once the read that runs has ended. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#reading;
  }

  async #readAll(): Promise<void> {
    let retryMs = firstRetryMs;
    while (this.#changed.size > 0 && !this.#stopped.signal.aborted) {
      const ids = this.#take();
      try {
        const orders = ids.length > 0 ? await this.#options.read(ids) : [];
        for (const order of orders) this.#tell(order);
        retryMs = firstRetryMs;
      } catch (error) {
        // Those who wait have deadlines of their own; until then the change must not be lost to them.
        for (const id of ids) this.#changed.add(id);
        this.#options.logger.warn("changed orders could not be read", { err: error, "orders.count": ids.length });
        await sleep(retryMs, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
        retryMs = Math.min(retryMs * 2, maxRetryMs);
      }
    }
    this.#reading = undefined;
  }

  #take(): string[] {
    const ids: string[] = [];
    for (const id of this.#changed) {
      this.#changed.delete(id);
      if (this.#listeners.has(id)) ids.push(id);
      if (ids.length === readLimit) break;
    }
    return ids;
  }

  #tell(order: Order): void {
    for (const listener of this.#listeners.get(order.orderId) ?? []) listener(order);
  }
}
