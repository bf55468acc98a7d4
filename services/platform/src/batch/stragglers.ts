/** So many times as long as half of a batch took, its other entries may take. */
const patience = 3;
/** What is decided sooner keeps nobody waiting, in milliseconds: to come again costs more. */
const leastMs = 500;

/**
 * Ends the waiting of a batch's entries for somebody outside, such as a gateway: when half of them have ended, the others may
 * take three times as long as that took, but half a second at least. Without it the slowest of many decides when all of them
 * are answered, and of 64 one is always slow. For entries whose answer may be "pending": they are asked for again.
 */
export class Stragglers implements Disposable {
  readonly #begin = performance.now();
  readonly #half: number;
  readonly #enough = new AbortController();
  readonly #caller: AbortSignal;
  readonly #end = () => this.#enough.abort();
  #ended = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param caller fires when nobody waits for the batch any more */
  constructor(entries: number, caller: AbortSignal) {
    this.#half = Math.ceil(entries / 2);
    this.#caller = caller;
    if (caller.aborted) this.#end();
    else caller.addEventListener("abort", this.#end, { once: true });
  }

  /** Fires when no entry should wait any more. What it began goes on. */
  get enough(): AbortSignal {
    return this.#enough.signal;
  }

  /** The work of one entry, which counts when it has ended. */
  async entry<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      this.#ended += 1;
      if (this.#ended === this.#half) this.#halfEnded();
    }
  }

  #halfEnded(): void {
    const tookMs = performance.now() - this.#begin;
    this.#timer = setTimeout(this.#end, Math.max(leastMs, patience * tookMs) - tookMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener("abort", this.#end);
  }
}
