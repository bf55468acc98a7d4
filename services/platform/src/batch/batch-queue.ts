import { Code, ConnectError } from "@connectrpc/connect";
import type { Span } from "@opentelemetry/api";

/** One call that waits for its turn in a batcher. */
export interface Entry<I, O> {
  readonly input: I;
  readonly resolve: (output: O) => void;
  readonly reject: (error: unknown) => void;
  /** Entries with the same key follow one another. */
  readonly key: string | undefined;
  /** Milliseconds since 1970; Infinity when there is none. */
  readonly deadline: number;
  /** By `performance.now()`. */
  readonly since: number;
  readonly bytes: number;
  /** The caller's span, when its trace is kept. */
  readonly span: Span | undefined;
  /** True once the entry was taken, or its caller stopped waiting. */
  settled: boolean;
  /** Ends watching the caller's signal. */
  unwatch?: () => void;
}

/** The calls that wait in a batcher, oldest first; of those with one key, only the first may be taken. */
export class BatchQueue<I, O> {
  /** What may be taken, from `#head` on. */
  #ready: Entry<I, O>[] = [];
  #head = 0;
  /** Keys that are ready or running, each with the entries that wait for it. */
  readonly #byKey = new Map<string, Entry<I, O>[]>();
  /** Entries whose callers wait to be taken. */
  #waiting = 0;
  /** The same and those that were given up but are still here. */
  #size = 0;

  /** How many callers wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** How many entries are kept, those that were given up included. */
  get size(): number {
    return this.#size;
  }

  add(entry: Entry<I, O>): void {
    this.#waiting += 1;
    this.#size += 1;
    if (entry.key === undefined) {
      this.#ready.push(entry);
      return;
    }
    const behind = this.#byKey.get(entry.key);
    if (behind) {
      behind.push(entry);
      return;
    }
    this.#byKey.set(entry.key, []);
    this.#ready.push(entry);
  }

  /** Takes a batch; an entry that is larger than the bound goes alone. Callers whose deadline passed are told so. */
  take(maxEntries: number, maxBytes: number): Entry<I, O>[] {
    const batch: Entry<I, O>[] = [];
    const now = Date.now();
    let bytes = 0;
    while (this.#head < this.#ready.length && batch.length < maxEntries) {
      const entry = this.#ready[this.#head] as Entry<I, O>;
      if (entry.deadline <= now) this.giveUp(entry, deadlinePassed());
      if (!entry.settled) {
        bytes += entry.bytes;
        if (bytes > maxBytes && batch.length > 0) break;
        this.#settle(entry);
        batch.push(entry);
      } else {
        this.release(entry);
      }
      this.#head += 1;
      this.#size -= 1;
    }
    this.#compact();
    return batch;
  }

  /** The next entry with this one's key may be taken. */
  release(entry: Entry<I, O>): void {
    if (entry.key === undefined) return;
    const next = this.#byKey.get(entry.key)?.shift();
    if (next) this.#ready.push(next);
    else this.#byKey.delete(entry.key);
  }

  /** Its caller stops waiting; once it was taken, this does nothing. */
  giveUp(entry: Entry<I, O>, error: Error): void {
    if (entry.settled) return;
    this.#settle(entry);
    entry.reject(error);
  }

  /** Tells the callers whose deadline passed; returns whether others with a deadline wait. */
  expire(): boolean {
    const now = Date.now();
    let left = false;
    for (const entry of this.#all()) {
      if (entry.settled) continue;
      if (entry.deadline <= now) this.giveUp(entry, deadlinePassed());
      else if (entry.deadline !== Number.POSITIVE_INFINITY) left = true;
    }
    return left;
  }

  #settle(entry: Entry<I, O>): void {
    entry.settled = true;
    entry.unwatch?.();
    this.#waiting -= 1;
  }

  #compact(): void {
    if (this.#head === this.#ready.length) this.#ready = [];
    else if (this.#head > 1_024) this.#ready = this.#ready.slice(this.#head);
    else return;
    this.#head = 0;
  }

  *#all(): Generator<Entry<I, O>> {
    for (let index = this.#head; index < this.#ready.length; index += 1) yield this.#ready[index] as Entry<I, O>;
    for (const behind of this.#byKey.values()) yield* behind;
  }
}

/** What a caller is told whose deadline passed while it waited. */
export function deadlinePassed(): ConnectError {
  return new ConnectError("the deadline passed before the work began", Code.DeadlineExceeded);
}

/** What a caller is told whose signal fired while it waited. */
export function givenUp(signal: AbortSignal): ConnectError {
  if (signal.reason instanceof ConnectError) return signal.reason;
  const timedOut = signal.reason instanceof Error && signal.reason.name === "TimeoutError";
  return timedOut ? deadlinePassed() : new ConnectError("the caller gave up before the work began", Code.Canceled);
}
