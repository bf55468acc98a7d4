import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { PlatformError } from "#platform/errors.ts";

/** The part of the promised time that an order may wait for its episode, and in it; the rest is for what is done. */
const waitShare = 0.5;
const retryAfterMs = 1_000;
/** As long as the first in line waits for a smaller part of that, those behind it came together, and nothing is slow. */
const burstShare = 0.25;
/** Orders of the last so many milliseconds are looked at, and for how many looks it is the same ones. */
const windowMs = 8_000;
const looksPerWindow = 5;
/** Batches leave at once: how fast the line moves is seen over so many looks. */
const rememberedMoves = 3;

/** How the orders stand that were created since some moment, whichever process took them. */
export interface Line {
  /** When that was seen, by the database's clock, in milliseconds. */
  readonly atMs: number;
  /** Those that neither are decided nor wait for a service that is away. */
  readonly waiting: number;
  /** The others. */
  readonly gone: number;
  /** How long ago the oldest of those that wait was created, in milliseconds; 0 when there is none. */
  readonly oldestMs: number;
}

/** What is promised, and what can always be done. */
export interface AdmissionOptions {
  /** How long an order may take to its confirmation, in milliseconds. */
  readonly confirmWithinMs: number;
  /** So many orders can be under way at the same time: as few as that are no line. */
  readonly underWay: number;
  /** Milliseconds of a clock that does not go back; default: this process's. */
  readonly now?: () => number;
}

/**
 * Refuses new orders while more wait than can be confirmed in time: when the first in line waits for too long, or when the line
 * is longer than what leaves it in that time.
 */
export class Admission {
  readonly #longestMs: number;
  readonly #underWay: number;
  readonly #now: () => number;
  #waitedMs = 0;
  #line: Line = { atMs: 0, waiting: 0, gone: 0, oldestMs: 0 };
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looks = 0;
  #since = 0;
  /** What left the line between two looks, the latest last. */
  #moves: { readonly orders: number; readonly ms: number }[] = [];
  /** Orders that this process takes at this moment, and those that it has taken since the last look. */
  #entering = 0;
  #entered = 0;

  constructor({ confirmWithinMs, underWay, now = () => performance.now() }: AdmissionOptions) {
    this.#longestMs = confirmWithinMs * waitShare;
    this.#underWay = underWay;
    this.#now = now;
  }

  /** The new order that waits for the longest time for an episode has waited so long, in milliseconds; 0 when none waits. */
  observed(waitedMs: number): void {
    this.#waitedMs = waitedMs;
  }

  /**
   * Looks at the line.
   *
   * @param nowMs milliseconds since 1970
   * @param see how the orders stand that were created since such a time
   */
  async look(nowMs: number, see: (sinceMs: number) => Promise<Line | undefined>): Promise<void> {
    const isNewWindow = this.#looks % looksPerWindow === 0;
    if (isNewWindow) this.#since = nowMs - windowMs;
    const [enteredBefore, begin] = [this.#entered, this.#now()];
    const line = await see(this.#since);
    if (!line) return;
    this.#looks += 1;
    if (!isNewWindow) {
      const orders = Math.max(0, line.gone - this.#line.gone);
      const move = { orders, ms: line.atMs - this.#line.atMs };
      this.#moves = [...this.#moves.slice(1 - rememberedMoves), move];
    }
    this.#line = line;
    this.#lookedAt = begin;
    this.#entered -= enteredBefore;
  }

  /** Refuses what can wait while new orders wait for too long. @throws OVERLOADED */
  admit(): void {
    if (this.#waitedMs <= this.#longestMs && this.#lineMs() <= this.#longestMs) return;
    const metadata = { queue: "orders to be carried" };
    const message = "more orders wait than can be confirmed in time";
    throw new PlatformError(PlatformErrorReason.OVERLOADED, message, metadata, { retryAfterMs });
  }

  /** Takes a new order. @throws OVERLOADED, and what the work throws */
  async enter<T>(work: () => Promise<T>): Promise<T> {
    this.admit();
    this.#entering += 1;
    try {
      return await work();
    } finally {
      this.#entering -= 1;
      this.#entered += 1;
    }
  }

  /** How long whoever comes now would wait, as far as that is known. */
  #lineMs(): number {
    const orders = this.#moves.reduce((sum, move) => sum + move.orders, 0);
    const ms = this.#moves.reduce((sum, move) => sum + move.ms, 0);
    const perMs = ms > 0 ? orders / ms : 0;
    const left = perMs * (this.#now() - this.#lookedAt);
    const waiting = this.#line.waiting + this.#entered + this.#entering - left;
    if (waiting <= this.#underWay || this.#line.oldestMs <= this.#longestMs * burstShare) return 0;
    return waiting / perMs;
  }
}
