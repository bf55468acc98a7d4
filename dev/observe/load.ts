import { randomUUID } from "node:crypto";
import type { Order } from "#gen/shop/orders/v1/order_pb.js";
import { StackError } from "../errors.ts";
import { within } from "../process/within.ts";
import { isOver } from "../shop/demo.ts";
import type { Shopper } from "../shop/shopper.ts";
import { kinds, mixOf } from "./kinds.ts";

/** How far a load has come. */
export interface Progress {
  readonly placed: number;
  readonly ended: number;
}

/** Who orders at the same time. */
const callers = 8;
/** How long the last order may take after all were placed. */
const endWithinMs = 120_000;
const lookEveryMs = 250;

/** A mixed load of orders on one stack. */
export class MixedLoad {
  readonly #shopper: Shopper;
  readonly #signal: AbortSignal;
  readonly #placed: string[] = [];
  readonly #ended: Order[] = [];

  constructor(shopper: Shopper, signal: AbortSignal) {
    this.#shopper = shopper;
    this.#signal = signal;
  }

  get progress(): Progress {
    return { placed: this.#placed.length, ended: this.#ended.length };
  }

  /**
   * Places so many orders and returns them once they have ended.
   * @throws StackError when some have not ended in time, or when it is stopped
   */
  async run(count: number): Promise<readonly Order[]> {
    const waiting = mixOf(count);
    const customerId = await this.#shopper.customer(`observer-${randomUUID()}`);
    const caller = async () => {
      for (let kind = waiting.shift(); kind && !this.#signal.aborted; kind = waiting.shift()) {
        const orderId = await this.#shopper.place(customerId, { ...kind.wish, requestId: randomUUID() });
        this.#placed.push(orderId);
        if (kind.cancel) await this.#shopper.cancel(orderId);
      }
    };
    const placing = Promise.all(Array.from({ length: callers }, caller));
    const [, orders] = await Promise.all([placing, this.#untilEnded(count)]);
    return orders;
  }

  async #untilEnded(count: number): Promise<readonly Order[]> {
    const seen = new Set<string>();
    const look = async () => {
      if (this.#signal.aborted) throw new StackError("The load was stopped.");
      for (const orderId of this.#placed.filter((id) => !seen.has(id))) {
        const order = await this.#shopper.get(orderId);
        if (!isOver(order)) continue;
        seen.add(orderId);
        this.#ended.push(order);
      }
      return this.#ended.length >= count;
    };
    if (await within(endWithinMs, look, lookEveryMs)) return this.#ended;
    throw new StackError(`${count - this.#ended.length} orders have not ended; see the logs.`);
  }
}

/** One order of each kind that there was, by the kind's name. */
export function oneOfEach(orders: readonly Order[]): Map<string, Order> {
  const found = kinds.flatMap((kind) => {
    const order = orders.find((candidate) => kind.is(candidate));
    return order ? [[kind.name, order] as const] : [];
  });
  return new Map(found);
}

/** How many orders became what, for people: `60 delivered, 10 declined`. */
export function summary(orders: readonly Order[]): string {
  return kinds.map((kind) => `${orders.filter((order) => kind.is(order)).length} ${kind.name}`).join(", ");
}
