/** How closely episodes follow each other. */
export interface PaceOptions {
  /** The most milliseconds between two claims. */
  readonly spacingMs: number;
  /** So many events go at once, however lately the last ones went. */
  readonly full: number;
}

/** Events a second at which the spacing is at its most. */
const busyRate = 8;
/** Over which the rate is averaged, in milliseconds. */
const memoryMs = 2_000;

/**
 * When the next episode may begin. What comes after a silence goes at once; the more comes, the longer the next claim waits
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

  /** Events were accepted that wait for an episode. */
  accepted(count: number): void {
    this.#waiting += count;
  }

  /** How long to wait before the next claim, in milliseconds; Infinity when there is nothing to claim. */
  waitMs(now: number): number {
    if (this.#waiting === 0) return Number.POSITIVE_INFINITY;
    if (this.#waiting >= this.#options.full) return 0;
    const spacing = this.#options.spacingMs * Math.min(1, this.#rateAt(now) / busyRate);
    return Math.max(0, this.#last + spacing - now);
  }

  /** A claim begins: it takes what waits. */
  claiming(): void {
    this.#waiting = 0;
  }

  /** A claim got so many orders; when it could not take all, the next one waits for nothing. */
  claimed(now: number, { count, more }: { readonly count: number; readonly more: boolean }): void {
    this.#rate = this.#rateAt(now) + (count * 1_000) / memoryMs;
    this.#last = now;
    if (more) this.#waiting = Math.max(this.#waiting, this.#options.full);
  }

  #rateAt(now: number): number {
    return this.#last === Number.NEGATIVE_INFINITY ? 0 : this.#rate * Math.exp((this.#last - now) / memoryMs);
  }
}
