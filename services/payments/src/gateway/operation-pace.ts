/** Spaces what goes to a gateway that takes only so many operations in a second. */
export class OperationPace {
  /** When the next may go, by `performance.now()`. */
  #free = 0;

  /**
   * How many milliseconds so many have to wait until they may go; undefined when that would be more than `mostMs`: then they are not to go.
   *
   * @param perSecond 0: as many as come
   */
  take(count: number, { perSecond, mostMs }: { perSecond: number; mostMs: number }): number | undefined {
    if (perSecond === 0) return 0;
    const now = performance.now();
    const from = Math.max(now, this.#free);
    if (from - now > mostMs) return undefined;
    this.#free = from + (count * 1_000) / perSecond;
    return from - now;
  }
}
