/** How many requests may go in a second. */
export interface PaceLimits {
  /** To all of it. */
  readonly all: number;
  /** To one endpoint. */
  readonly endpoint: number;
}

/** The longest that a request waits for its turn, in milliseconds. */
const longestWaitMs = 1_000;
/** So many requests may go at once. */
const burst = 5;

/** Keeps requests below somebody's limits of rate, so that there is nothing to refuse. */
export class RequestPace {
  readonly #limits: PaceLimits;
  /** When all that went would have gone evenly, by `performance.now()`: to each endpoint, and, under no name, to all. */
  readonly #free = new Map<string, number>();

  constructor(limits: PaceLimits) {
    this.#limits = limits;
  }

  /** How many milliseconds a request has to wait; undefined when that is too long: then it is not to go. */
  take(endpoint: string): number | undefined {
    const now = performance.now();
    const pauses = [this.#pauseOf("", this.#limits.all, now), this.#pauseOf(endpoint, this.#limits.endpoint, now)];
    const waitMs = Math.max(...pauses);
    if (waitMs > longestWaitMs) return undefined;
    this.#use("", this.#limits.all, now);
    this.#use(endpoint, this.#limits.endpoint, now);
    return waitMs;
  }

  /** The first requests after a pause need not be spread. */
  #pauseOf(endpoint: string, perSecond: number, now: number): number {
    const credit = (burst * 1_000) / perSecond;
    return Math.max(0, (this.#free.get(endpoint) ?? 0) - now - credit);
  }

  #use(endpoint: string, perSecond: number, now: number): void {
    this.#free.set(endpoint, Math.max(now, this.#free.get(endpoint) ?? 0) + 1_000 / perSecond);
  }
}
