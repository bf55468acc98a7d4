import { setTimeout as delay } from "node:timers/promises";
import type { Shopper } from "../shop/shopper.ts";
import type { Chance } from "./chance.ts";
import { scarce } from "./wanted.ts";

/** Between two deliveries, in milliseconds: some orders are withdrawn before anything has come for them. */
const everyMs = 1_500;

/** Brings what orders wait for, by and by, whatever happens around it: also what waits when no more orders come. */
export class Supplier {
  readonly #shopper: Shopper;
  readonly #chance: Chance;
  readonly #stopped = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #deliveries = 0;

  constructor(shopper: Shopper, chance: Chance) {
    this.#shopper = shopper;
    this.#chance = chance;
  }

  /** Begins to deliver. */
  start(): void {
    this.#running = this.#run();
  }

  /** Resolves once the last delivery has arrived. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await delay(everyMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      // Nobody waits for what is always there.
      if (await this.#shopper.has(scarce)) continue;
      this.#deliveries += 1;
      const locationId = this.#chance.next() < 0.5 ? "north" : "south";
      await this.#shopper.stock(scarce, locationId, this.#chance.between(1, 6), `:${this.#deliveries}`);
    }
  }
}
