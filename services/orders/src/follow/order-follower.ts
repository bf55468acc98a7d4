import { addAbortListener } from "node:events";
import { type RestingPlace, requestContext } from "#platform/context.ts";
import { restingPlace } from "#platform/resting.ts";
import { orAbort } from "#platform/wait.ts";
import { orderNotFound } from "../order/errors.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import type { OrderRepository } from "../order/order.repository.ts";
import { isAnswered, isTerminal, type Order } from "../order/order.ts";
import type { ChangeHub } from "./change-hub.ts";

/** What a follower works with. */
export interface OrderFollowerOptions {
  readonly hub: ChangeHub;
  readonly repository: Pick<OrderRepository, "find">;
  readonly metrics: OrderMetrics;
  /** Ends everybody's patience. */
  readonly closing: AbortSignal;
}

/** Until when a caller waits. */
export interface Patience {
  /** Milliseconds from now. */
  readonly forMs: number;
  readonly signal: AbortSignal;
}

/** Follows an order for a caller. */
export class OrderFollower {
  readonly #options: OrderFollowerOptions;

  constructor(options: OrderFollowerOptions) {
    this.#options = options;
  }

  /** The order as it stands; a customer who calls for himself finds only his own. @throws ORDER_NOT_FOUND */
  async get(orderId: string): Promise<Order> {
    const [order] = await this.#options.repository.find([orderId], requestContext().owner);
    if (!order) throw orderNotFound(orderId);
    return order;
  }

  /**
   * Begins to hear of an order's changes; it may be one that does not exist yet.
   *
   * @throws OVERLOADED when as many calls wait as the process takes
   */
  follow(orderId: string): Following {
    return new Following(orderId, this.#options);
  }

  /** The order once the saga has given its first answer, or a person has to look at it, or as it stands when patience ends. @throws ORDER_NOT_FOUND */
  async decided(orderId: string, patience: Patience): Promise<Order> {
    using following = this.follow(orderId);
    const order = await this.get(orderId);
    if (isAnswered(order)) return order;
    return (await following.until(isAnswered, patience)) ?? this.get(orderId);
  }

  /**
   * The order as it stands, then again after each change, until it has ended. What a slow reader did not take is
   * replaced by what came after.
   *
   * @throws ORDER_NOT_FOUND, and the signal's reason
   */
  async *watch(orderId: string, signal: AbortSignal): AsyncGenerator<Order, void, undefined> {
    using following = this.follow(orderId);
    this.#options.metrics.watchers.inc();
    try {
      let order = await this.get(orderId);
      yield order;
      while (!isTerminal(order.status)) {
        order = await following.after(order.revision, signal);
        yield order;
      }
    } finally {
      this.#options.metrics.watchers.dec();
    }
  }
}

/** An order that somebody waits for: its last known state, and who waits for the next. */
export class Following implements Disposable {
  readonly #unsubscribe: () => void;
  readonly #closing: AbortSignal;
  readonly #place: RestingPlace = restingPlace();
  #latest: Order | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(orderId: string, { hub, closing }: Pick<OrderFollowerOptions, "hub" | "closing">) {
    this.#closing = closing;
    this.#unsubscribe = hub.subscribe(orderId, (order) => this.#take(order));
  }

  /** Hears of nothing more. */
  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#place[Symbol.dispose]();
  }

  /** The latest state beyond a revision. @throws the signal's reason when it fires before there is one */
  after(revision: number, signal: AbortSignal): Promise<Order> {
    return this.#place.rest(() => orAbort(() => this.#beyond(revision), signal));
  }

  /**
   * The first state that meets a condition; undefined when patience ends before, or the process stops.
   *
   * @throws the signal's reason
   */
  async until(done: (order: Order) => boolean, { forMs, signal }: Patience): Promise<Order | undefined> {
    const over = Promise.withResolvers<undefined>();
    using _patience = setTimeout(over.resolve, forMs, undefined);
    using _closing = addAbortListener(this.#closing, () => over.resolve(undefined));
    const answered = () => orAbort(() => Promise.race([this.#first(done), over.promise]), signal);
    return await this.#place.rest(answered);
  }

  async #first(done: (order: Order) => boolean): Promise<Order> {
    let order = await this.#beyond(0);
    while (!done(order)) order = await this.#beyond(order.revision);
    return order;
  }

  async #beyond(revision: number): Promise<Order> {
    while (!this.#latest || this.#latest.revision <= revision) await this.#wake.promise;
    return this.#latest;
  }

  #take(order: Order): void {
    if (this.#latest && order.revision <= this.#latest.revision) return;
    this.#latest = order;
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}
