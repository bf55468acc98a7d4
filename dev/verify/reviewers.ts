import { setTimeout as delay } from "node:timers/promises";
import { ReviewDecision } from "#gen/shop/orders/v1/order_review_service_pb.js";
import type { Shopper } from "../shop/shopper.ts";
import type { Chance } from "./chance.ts";

/** What was decided about an order, as its caller was told. */
export type Reviewed = "released" | "refused";

/** Between two looks at what waits, in milliseconds: some orders are withdrawn before anybody has looked. */
const everyMs = 400;
/** The part that is refused. */
const refusedPart = 0.25;

/** People who decide about orders that were held up, by chance, whatever happens around them. */
export class Reviewers {
  readonly #shopper: Shopper;
  readonly #chance: Chance;
  readonly #stopped = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** What was decided, by the order's id. */
  readonly decided = new Map<string, Reviewed>();

  constructor(shopper: Shopper, chance: Chance) {
    this.#shopper = shopper;
    this.#chance = chance;
  }

  /** Begins to look. */
  start(): void {
    this.#running = this.#run();
  }

  /** Resolves once the last decision is made. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await delay(everyMs, undefined, { signal }).catch(() => undefined);
      // Who looks after an outage finds the orders of then.
      const waiting = await this.#shopper.underReview(signal).catch(() => []);
      for (const orderId of waiting) if (!signal.aborted) await this.#decide(orderId);
    }
  }

  /** Said again until it is answered: the same decision, under the same request id. */
  async #decide(orderId: string): Promise<void> {
    const wanted = this.#chance.next() < refusedPart ? "refused" : "released";
    const decision = wanted === "refused" ? ReviewDecision.REFUSE : ReviewDecision.RELEASE;
    if (await this.#shopper.decideReview(orderId, decision)) this.decided.set(orderId, wanted);
  }
}
