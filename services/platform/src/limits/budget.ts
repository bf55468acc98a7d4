import type { Quota } from "#platform/limit-settings.ts";

/** What became of a call, and what its caller has left. */
export interface Taken {
  readonly taken: boolean;
  /** How many calls may follow at once. */
  readonly left: number;
  /** When the next call may be made, in milliseconds; 0 when one may be made now. */
  readonly waitMs: number;
  /** When everything that was used is back, in milliseconds. */
  readonly wholeMs: number;
}

/** Of how many callers is remembered what they have left: some megabytes. Beyond it the one who was silent for longest begins anew. */
const mostCallers = 50_000;
/** Sums of fractions are not exact. */
const epsilonMs = 1e-6;

/**
 * What each caller has left of a quota: a bucket of tokens that fills up again by itself, kept as the time at which it will be full
 * (the "generic cell rate algorithm"), so that nothing has to be done for callers who are silent.
 */
export class Budget {
  readonly quota: Quota;
  readonly #most: number;
  readonly #now: () => number;
  /** When what a caller used is back, by the caller; the one who was silent for longest first. */
  readonly #wholeAt = new Map<string, number>();

  /** @param now milliseconds of a clock that never goes back */
  constructor(quota: Quota, { most = mostCallers, now = () => performance.now() } = {}) {
    this.quota = quota;
    this.#most = most;
    this.#now = now;
  }

  /** How many callers it remembers. */
  get size(): number {
    return this.#wholeAt.size;
  }

  /** Takes one call out of a caller's budget; nothing when there is none left. */
  take(who: string): Taken {
    const { calls, windowMs } = this.quota;
    const each = windowMs / calls;
    const now = this.#now();
    const used = Math.max(0, (this.#wholeAt.get(who) ?? 0) - now);
    const taken = used + each <= windowMs + epsilonMs;
    const wholeMs = taken ? used + each : used;
    if (taken) this.#remember(who, now + wholeMs);
    const left = Math.max(0, Math.floor((windowMs - wholeMs + epsilonMs) / each));
    return { taken, left, waitMs: Math.max(0, wholeMs + each - windowMs), wholeMs };
  }

  /** Whether a caller may make another call. */
  has(who: string): boolean {
    const { calls, windowMs } = this.quota;
    return (this.#wholeAt.get(who) ?? 0) - this.#now() + windowMs / calls <= windowMs + epsilonMs;
  }

  #remember(who: string, wholeAt: number): void {
    if (!this.#wholeAt.delete(who) && this.#wholeAt.size >= this.#most) {
      const [silent] = this.#wholeAt.keys();
      if (silent !== undefined) this.#wholeAt.delete(silent);
    }
    this.#wholeAt.set(who, wholeAt);
  }
}
