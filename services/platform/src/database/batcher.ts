import { AsyncLocalStorage } from "node:async_hooks";
import { Code, ConnectError } from "@connectrpc/connect";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { requestContext } from "#platform/context.ts";
import { PlatformError } from "#platform/errors.ts";
import { isDataError } from "./sql-state.ts";

/** Told about every list that is taken. */
export interface BatcherMetrics {
  /** @param oldestWaitMs how long the entry that waited longest had waited */
  taken(entries: number, oldestWaitMs: number): void;
}

/** How a batcher gathers and what it runs. */
export interface BatcherOptions<I, O> {
  /** For metrics and for the refusal OVERLOADED. */
  readonly name: string;
  /**
   * Does the work of a whole list, one result per input in the same order. An `Error` in the result refuses that entry
   * alone. A throw fails them all, except for an error of the data (SQLSTATE class 22 or 23): then the list is halved
   * until the entry that caused it stands alone. It runs outside of the context of any caller.
   */
  readonly run: (inputs: I[]) => Promise<(O | Error)[]>;
  /** Entries with the same key never run together, in one list or in two lanes; they run in the order they came. */
  readonly keyOf?: (input: I) => string;
  /** Bytes of one entry, roughly. */
  readonly sizeOf?: (input: I) => number;
  /** Default 256. */
  readonly maxEntries?: number;
  /** Of one list, as far as `sizeOf` tells; an entry that is larger alone runs alone. Default: no bound. */
  readonly maxBytes?: number;
  /** Entries that may wait; more are refused with OVERLOADED. Default 10,000. */
  readonly maxWaiting?: number;
  /** Lists that run at the same time; default 1. */
  readonly lanes?: number;
  readonly metrics?: BatcherMetrics;
}

/** When a caller stops waiting. */
export interface SubmitOptions {
  /** Takes the entry out while it waits; once it is taken, it runs. */
  readonly signal?: AbortSignal;
  /** Milliseconds since 1970; default: the deadline of the running call. */
  readonly deadline?: number;
}

interface Entry<I, O> {
  readonly input: I;
  readonly resolve: (output: O) => void;
  readonly reject: (error: unknown) => void;
  readonly key: string | undefined;
  readonly deadline: number;
  readonly since: number;
  /** True once the entry was taken, or its caller stopped waiting. */
  settled: boolean;
  /** Ends watching the caller's signal. */
  unwatch?: () => void;
}

const retryAfterMs = 50;
const sweepEveryMs = 20;

/**
 * Gathers the calls of many callers into lists. It adapts by itself: the first call goes with the next turn of the event
 * loop; what arrives while all lanes are busy goes together as soon as one is free. Every caller gets its own outcome.
 */
export class Batcher<I, O> {
  readonly #options: BatcherOptions<I, O>;
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #maxWaiting: number;
  readonly #lanes: number;
  readonly #outside = AsyncLocalStorage.snapshot();
  readonly #flush = () => this.#outside(() => this.#fillLanes());
  /** What may be taken, oldest first, from `#head` on. */
  #ready: Entry<I, O>[] = [];
  #head = 0;
  /** Keys that are ready or running, each with the entries that wait for it. */
  readonly #byKey = new Map<string, Entry<I, O>[]>();
  /** Entries whose callers wait to be taken. */
  #waiting = 0;
  /** The same and those that were given up but are still in a queue. */
  #queued = 0;
  #running = 0;
  #scheduled = false;
  #sweeper: NodeJS.Timeout | undefined;
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(options: BatcherOptions<I, O>) {
    this.#options = options;
    this.#maxEntries = options.maxEntries ?? 256;
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#maxWaiting = options.maxWaiting ?? 10_000;
    this.#lanes = options.lanes ?? 1;
  }

  /** How many entries wait now. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Does one entry's work together with others'.
   *
   * @throws OVERLOADED when too many wait, UNAVAILABLE after `drain`, CANCELED or DEADLINE_EXCEEDED when the caller
   * stopped waiting before the entry was taken, and whatever `run` gave for the entry or threw.
   */
  submit(input: I, options: SubmitOptions = {}): Promise<O> {
    const refusal = this.#refusal(options.signal);
    if (refusal) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const entry: Entry<I, O> = {
        input,
        resolve,
        reject,
        key: this.#options.keyOf?.(input),
        deadline: options.deadline ?? requestContext().deadline ?? Number.POSITIVE_INFINITY,
        since: performance.now(),
        settled: false,
      };
      this.#waiting += 1;
      this.#queued += 1;
      this.#enqueue(entry);
      if (options.signal) this.#watch(entry, options.signal);
      if (entry.deadline !== Number.POSITIVE_INFINITY) this.#sweepLater();
      this.#schedule();
    });
  }

  /** Takes nothing more and resolves once everything that waits has been answered. */
  drain(): Promise<void> {
    this.#drained ??= Promise.withResolvers<void>();
    this.#settleDrain();
    return this.#drained.promise;
  }

  #refusal(signal: AbortSignal | undefined): Error | undefined {
    const { name } = this.#options;
    if (signal?.aborted) return abortError(signal);
    if (this.#drained) {
      const metadata = { dependency: name };
      return new PlatformError(PlatformErrorReason.UNAVAILABLE, "the service stops", metadata, { retryAfterMs });
    }
    if (this.#waiting < this.#maxWaiting && this.#queued < 2 * this.#maxWaiting) return undefined;
    const message = `more than ${this.#maxWaiting} entries wait for ${name}`;
    return new PlatformError(PlatformErrorReason.OVERLOADED, message, { queue: name }, { retryAfterMs });
  }

  /** An entry whose key is taken waits behind it; all others may go with the next list. */
  #enqueue(entry: Entry<I, O>): void {
    if (entry.key !== undefined) {
      const behind = this.#byKey.get(entry.key);
      if (behind) {
        behind.push(entry);
        return;
      }
      this.#byKey.set(entry.key, []);
    }
    this.#ready.push(entry);
  }

  /** After the event loop's turn, so that all calls that came with it go together. */
  #schedule(): void {
    if (this.#scheduled || this.#running >= this.#lanes) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  #fillLanes(): void {
    this.#scheduled = false;
    while (this.#running < this.#lanes) {
      const list = this.#take();
      if (list.length === 0) break;
      this.#running += 1;
      void this.#runList(list);
    }
    this.#settleDrain();
  }

  #take(): Entry<I, O>[] {
    const list: Entry<I, O>[] = [];
    const now = Date.now();
    let bytes = 0;
    while (this.#head < this.#ready.length && list.length < this.#maxEntries) {
      const entry = this.#ready[this.#head] as Entry<I, O>;
      if (!entry.settled && entry.deadline <= now) this.#giveUp(entry, deadlineError());
      if (!entry.settled) {
        bytes += this.#options.sizeOf?.(entry.input) ?? 0;
        if (bytes > this.#maxBytes && list.length > 0) break;
        list.push(entry);
      } else {
        this.#releaseKey(entry);
      }
      this.#head += 1;
      this.#queued -= 1;
    }
    this.#compact();
    this.#waiting -= list.length;
    if (list[0]) this.#options.metrics?.taken(list.length, performance.now() - list[0].since);
    return list;
  }

  #compact(): void {
    if (this.#head === this.#ready.length) this.#ready = [];
    else if (this.#head > 1_024) this.#ready = this.#ready.slice(this.#head);
    else return;
    this.#head = 0;
  }

  async #runList(list: Entry<I, O>[]): Promise<void> {
    for (const entry of list) {
      entry.settled = true;
      entry.unwatch?.();
    }
    await this.#answer(list);
    this.#running -= 1;
    for (const entry of list) this.#releaseKey(entry);
    this.#schedule();
    this.#settleDrain();
  }

  async #answer(list: Entry<I, O>[]): Promise<void> {
    try {
      const outputs = await this.#options.run(list.map((entry) => entry.input));
      if (outputs.length !== list.length)
        throw new Error(`${this.#options.name} answered ${outputs.length} of ${list.length}`);
      for (const [index, output] of outputs.entries()) {
        const entry = list[index] as Entry<I, O>;
        if (output instanceof Error) entry.reject(output);
        else entry.resolve(output);
      }
    } catch (error) {
      await this.#fail(list, error);
    }
  }

  /** One bad entry must not take the others with it; a lost connection or a deadlock is everybody's. */
  async #fail(list: Entry<I, O>[], error: unknown): Promise<void> {
    if (list.length > 1 && isDataError(error)) {
      const middle = list.length >> 1;
      await this.#answer(list.slice(0, middle));
      await this.#answer(list.slice(middle));
      return;
    }
    for (const entry of list) entry.reject(error);
  }

  /** The next entry with the same key may go. */
  #releaseKey(entry: Entry<I, O>): void {
    if (entry.key === undefined) return;
    const behind = this.#byKey.get(entry.key);
    const next = behind?.shift();
    if (next) this.#ready.push(next);
    else this.#byKey.delete(entry.key);
  }

  #watch(entry: Entry<I, O>, signal: AbortSignal): void {
    const abort = () => this.#giveUp(entry, abortError(signal));
    signal.addEventListener("abort", abort, { once: true });
    entry.unwatch = () => signal.removeEventListener("abort", abort);
  }

  #giveUp(entry: Entry<I, O>, error: Error): void {
    if (entry.settled) return;
    entry.settled = true;
    entry.unwatch?.();
    this.#waiting -= 1;
    entry.reject(error);
  }

  /** Deadlines of entries that wait behind a slow list; nothing is scanned while nothing waits. */
  #sweepLater(): void {
    this.#sweeper ??= setTimeout(() => {
      this.#sweeper = undefined;
      const now = Date.now();
      let left = false;
      for (const entry of this.#allWaiting()) {
        if (entry.deadline <= now) this.#giveUp(entry, deadlineError());
        else if (entry.deadline !== Number.POSITIVE_INFINITY) left = true;
      }
      if (left) this.#sweepLater();
    }, sweepEveryMs).unref();
  }

  *#allWaiting(): Generator<Entry<I, O>> {
    for (let index = this.#head; index < this.#ready.length; index += 1) yield this.#ready[index] as Entry<I, O>;
    for (const behind of this.#byKey.values()) yield* behind;
  }

  #settleDrain(): void {
    if (this.#drained && this.#running === 0 && this.#waiting === 0) this.#drained.resolve();
  }
}

function deadlineError(): ConnectError {
  return new ConnectError("the deadline passed before the work began", Code.DeadlineExceeded);
}

function abortError(signal: AbortSignal): ConnectError {
  if (signal.reason instanceof ConnectError) return signal.reason;
  const timedOut = signal.reason instanceof Error && signal.reason.name === "TimeoutError";
  return timedOut ? deadlineError() : new ConnectError("the caller gave up before the work began", Code.Canceled);
}
