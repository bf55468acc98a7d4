import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { fired } from "#platform/wait.ts";
import type { Shopper } from "../shop/shopper.ts";
import { Afterthoughts, type Afterwards } from "./afterthoughts.ts";
import type { Wanted } from "./wanted.ts";

/** How often somebody who stays away looks again, in milliseconds. */
const lookEveryMs = 250;

/** What came of one wish. */
export interface Placed {
  readonly wanted: Wanted;
  readonly orderId: string;
  /** What was said to the caller who wanted it back. */
  cancellation?: "accepted" | "refused";
  /** What came of what the caller thought of later. */
  afterwards?: Afterwards | undefined;
}

/** How many come at most. */
export interface Bounds {
  /** Whether those who would come now stay away for a while. */
  readonly isFull?: () => boolean;
  /** Who could not come within this time stays away altogether; milliseconds. */
  readonly withinMs?: number;
  /** Fires when no answer is waited for any more; default: when nobody comes any more. */
  readonly gone?: AbortSignal;
}

/** Callers who come by themselves, whether others are served or not, and say again what was not answered. */
export class Crowd {
  readonly #shopper: Shopper;
  readonly #afterthoughts: Afterthoughts;
  readonly placed: Placed[] = [];
  /** How many have come so far. */
  came = 0;

  /** How many have no answer yet. */
  get waiting(): number {
    return this.came - this.placed.length;
  }

  /** What those who changed their minds wanted, whether it happened, and how often. */
  get afterwards(): ReadonlyMap<Afterwards, number> {
    const told = this.placed.flatMap(({ afterwards }) => afterwards ?? []);
    return new Map([...Map.groupBy(told, (each) => each)].map(([each, { length }]) => [each, length]));
  }

  /** What no outage explains, one sentence each. */
  readonly violations: string[] = [];

  constructor(shopper: Shopper) {
    this.#shopper = shopper;
    this.#afterthoughts = new Afterthoughts(shopper);
  }

  /**
   * Resolves once everybody is answered, or nobody need be any more. When the signal fires nobody comes any more.
   *
   * @param bounds so that a machine that is busy with other things is not asked for more and more
   */
  async come(wanted: readonly Wanted[], signal: AbortSignal, bounds: Bounds = {}): Promise<void> {
    const { isFull = () => false, withinMs = Number.POSITIVE_INFINITY, gone = signal } = bounds;
    const customerId = await this.#shopper.customer("campaign");
    const visits: Promise<void>[] = [];
    let nextAt = performance.now();
    const end = nextAt + withinMs;
    for (const each of wanted) {
      if (performance.now() > end) break;
      nextAt += each.afterMs;
      while (performance.now() < nextAt || isFull()) {
        if (isFull()) nextAt = performance.now() + lookEveryMs;
        await delay(Math.max(0, nextAt - performance.now()), undefined, { signal }).catch(() => undefined);
        if (signal.aborted) break;
      }
      if (signal.aborted) break;
      this.came += 1;
      visits.push(this.#visit(customerId, each).catch((error: unknown) => this.#object(each, error)));
    }
    await Promise.race([Promise.all(visits), fired(gone)]);
  }

  /** The same requests once more: each is answered with its order. */
  async comeAgain(share: number): Promise<void> {
    const customerId = await this.#shopper.customer("campaign");
    const some = this.placed.filter((_, index) => index % Math.max(1, Math.round(1 / share)) === 0);
    for (const { wanted, orderId } of some) {
      const again = await this.#place(customerId, wanted);
      if (again !== orderId) this.#say(wanted, `is order ${again} when it is repeated, and was ${orderId}`);
    }
  }

  async #visit(customerId: string, wanted: Wanted): Promise<void> {
    const ids = await Promise.all(Array.from({ length: wanted.parallel }, () => this.#place(customerId, wanted)));
    const [orderId = ""] = ids;
    if (new Set(ids).size > 1) this.#say(wanted, `became several orders: ${[...new Set(ids)].join(", ")}`);
    const placed: Placed = { wanted, orderId };
    this.placed.push(placed);
    await Promise.all([this.#cancelLater(placed), this.#changeLater(placed)]);
  }

  async #cancelLater(placed: Placed): Promise<void> {
    const { wanted, orderId } = placed;
    if (wanted.cancelAfterMs === undefined) return;
    await delay(wanted.cancelAfterMs);
    try {
      placed.cancellation = await this.#cancel(orderId);
    } catch (error) {
      this.#object(wanted, error, "to cancel it ");
    }
  }

  async #changeLater(placed: Placed): Promise<void> {
    const { wanted, orderId } = placed;
    try {
      placed.afterwards = await this.#afterthoughts.act(orderId, wanted);
    } catch (error) {
      this.#object(wanted, error, `to want it otherwise (${wanted.afterthought?.kind}) `);
    }
  }

  async #place(customerId: string, { wish }: Wanted): Promise<string> {
    const request = this.#shopper.request(customerId, wish);
    const { order } = await this.#shopper.orders.createOrder(request);
    return order?.orderId ?? "";
  }

  async #cancel(orderId: string): Promise<"accepted" | "refused"> {
    const request = { orderId, requestId: `cancel:${orderId}`, reason: "changed my mind" };
    try {
      await this.#shopper.orders.cancelOrder(request);
      return "accepted";
    } catch (error) {
      if (error instanceof ConnectError && error.code === Code.FailedPrecondition) return "refused";
      throw error;
    }
  }

  #object(wanted: Wanted, error: unknown, what = ""): void {
    this.#say(wanted, `${what}was answered with ${error instanceof Error ? error.message : String(error)}`);
  }

  #say({ wish }: Wanted, what: string): void {
    this.violations.push(`the request ${wish.requestId} ${what}`);
  }
}
