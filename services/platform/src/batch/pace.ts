/** How closely batches follow each other. */
export interface PaceOptions {
  /** The most milliseconds between two batches. */
  readonly spacingMs: number;
  /** So many go at once, however lately the last ones went. */
  readonly full: number;
}

/** What comes in a second when the spacing is at its most. */
const busyRate = 8;
/** Over which the rate is averaged, in milliseconds. */
const memoryMs = 2_000;

/**
 * When the next batch may begin. What comes after a silence goes at once; the more comes, the longer the next batch waits
 * for company, up to the spacing; a full batch waits for nothing. Times are milliseconds of any clock that does not go back.
 */
export class Pace {
  readonly #options: PaceOptions;
  #waiting = 0;
  #rate = 0;
  #last = Number.NEGATIVE_INFINITY;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Something came that waits for a batch. */
  came(count: number): void {
    this.#waiting += count;
  }

  /** How long to wait before the next batch, in milliseconds; Infinity when nothing is known to wait. */
  waitMs(now: number): number {
    if (this.#waiting === 0) return Number.POSITIVE_INFINITY;
    if (this.#waiting >= this.#options.full) return 0;
    return Math.max(0, this.#last + this.spacingMs(now) - now);
  }

  /** How far batches are apart now, in milliseconds. */
  spacingMs(now: number): number {
    return this.#options.spacingMs * Math.min(1, this.#rateAt(now) / busyRate);
  }

  /** A batch begins: it takes what waits. */
  begins(): void {
    this.#waiting = 0;
  }

  /** A batch had so many. */
  had(now: number, count: number): void {
    this.#rate = this.#rateAt(now) + (count * 1_000) / memoryMs;
    this.#last = now;
  }

  #rateAt(now: number): number {
    return this.#last === Number.NEGATIVE_INFINITY ? 0 : this.#rate * Math.exp((this.#last - now) / memoryMs);
  }
}
