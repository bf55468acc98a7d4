import type { Claims } from "./allocation.ts";
import type { Line, Wait } from "./stock.ts";

/** What orders wait for, of the articles that a batch of commands is about, as it was when these were locked. */
export interface QueueState {
  /** How much of a SKU all that wait for it want together. */
  readonly claimed: ReadonlyMap<string, bigint>;
  /** The articles that as many wait for as may. */
  readonly full: ReadonlySet<string>;
  /** By order and SKU: how much of it those want together whose turn is before its own. */
  readonly ahead: ReadonlyMap<string, ReadonlyMap<string, bigint>>;
}

/** Nobody waits. */
export const emptyQueue: QueueState = { claimed: new Map(), full: new Set(), ahead: new Map() };

/**
 * Who waits for stock, while a batch of commands is worked through. An order gets what is there beyond what all that come before it
 * want and have not got; who does not wait comes last. So nobody is overtaken by somebody who takes what he waits for, and
 * nobody waits for what another one does not want.
 */
export class StockQueue {
  readonly #state: QueueState;
  readonly #came: Wait[] = [];
  readonly #left: Wait[] = [];

  constructor(state: QueueState) {
    this.#state = state;
  }

  /** What is not there for an order that does not wait. */
  readonly ofAll: Claims = (sku) =>
    (this.#state.claimed.get(sku) ?? 0n) + wanted(this.#came, sku) - wanted(this.#left, sku);

  /** What is not there for an order that waits. */
  aheadOf(orderId: string, { place }: Wait): Claims {
    const ahead = this.#state.ahead.get(orderId);
    const gone = this.#left.filter((wait) => isBefore(wait, place));
    return (sku) => (ahead?.get(sku) ?? 0n) - wanted(gone, sku);
  }

  /** Whether one more may wait for all of it. */
  takes(lines: readonly Line[]): boolean {
    return !lines.some(({ sku }) => this.#state.full.has(sku));
  }

  /** One more waits from now on. */
  came(wait: Wait): void {
    this.#came.push(wait);
  }

  /** One waits no more. */
  left(wait: Wait): void {
    this.#left.push(wait);
  }
}

function wanted(waits: readonly Wait[], sku: string): bigint {
  let sum = 0n;
  for (const { lines } of waits) for (const line of lines) if (line.sku === sku) sum += line.quantity;
  return sum;
}

function isBefore(wait: Wait, place: bigint | undefined): boolean {
  return wait.place !== undefined && place !== undefined && wait.place < place;
}
