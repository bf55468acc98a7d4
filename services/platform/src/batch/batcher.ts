import { AsyncLocalStorage } from "node:async_hooks";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { requestContext } from "#platform/context.ts";
import { isDataError } from "#platform/database/sql-state.ts";
import { PlatformError } from "#platform/errors.ts";
import { listEntries, listWaits, waitingEntries } from "#platform/metrics/process-metrics.ts";
import { activeSpan } from "#platform/trace/spans.ts";
import { BatchQueue, type Entry, givenUp } from "./batch-queue.ts";
import { runShared } from "./batch-span.ts";

/** How a batcher gathers and what it runs. */
export interface BatcherOptions<I, O> {
  /** For metrics and for the refusal OVERLOADED. */
  readonly name: string;
  /**
   * Does the work of a whole batch, one result per input in the same order. An `Error` in the result refuses that entry
   * alone. A throw fails them all, except for an error of the data (SQLSTATE class 22 or 23): then the batch is halved
   * until the entry that caused it stands alone. It runs outside of the context of any caller.
   */
  readonly run: (inputs: I[]) => Promise<(O | Error)[]>;
  /** Entries with the same key never run together, in one batch or in two lanes; they run in the order they came. */
  readonly keyOf?: (input: I) => string;
  /** Bytes of one entry, roughly. */
  readonly sizeOf?: (input: I) => number;
  /** Default 256. */
  readonly maxEntries?: number;
  /** Of one batch, as far as `sizeOf` tells; an entry that is larger alone runs alone. Default: no bound. */
  readonly maxBytes?: number;
  /** Entries that may wait; more are refused with OVERLOADED. Default 10,000. */
  readonly maxWaiting?: number;
  /** Lists that run at the same time; default 1. */
  readonly lanes?: number;
  /** How far from the list before one begins in which nobody hurries, in milliseconds; default 0. */
  readonly spacingMs?: number;
}

/** When a caller stops waiting. */
export interface SubmitOptions {
  /** Takes the entry out while it waits; once it is taken, it runs. */
  readonly signal?: AbortSignal;
  /** Milliseconds since 1970; default: the deadline of the running call. */
  readonly deadline?: number;
  /** Whether it may wait for company, as the caller waits for something slower anyway; default false. */
  readonly patient?: boolean;
}

const retryAfterMs = 50;
const sweepEveryMs = 20;

/**
 * Gathers the calls of many callers into batches. It adapts by itself: the first call goes with the next turn of the event
 * loop; what arrives while all lanes are busy goes together as soon as one is free. Where only patient ones wait, a batch keeps
 * its distance from the one before, unless it is full. Every caller gets its own outcome.
 */
export class Batcher<I, O> {
  readonly #options: BatcherOptions<I, O>;
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #maxWaiting: number;
  readonly #lanes: number;
  readonly #spacingMs: number;
  readonly #outside = AsyncLocalStorage.snapshot();
  readonly #flush = () => this.#outside(() => this.#fillLanes());
  readonly #queue = new BatchQueue<I, O>();
  readonly #entries;
  readonly #waits;
  #running = 0;
  #scheduled = false;
  /** Whether somebody waits who is not patient. */
  #hurried = false;
  /** When a batch was taken last, by `performance.now()`. */
  #taken = Number.NEGATIVE_INFINITY;
  /** Runs until patient entries have waited for company. */
  #company: NodeJS.Timeout | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(options: BatcherOptions<I, O>) {
    this.#options = options;
    this.#maxEntries = options.maxEntries ?? 256;
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#maxWaiting = options.maxWaiting ?? 10_000;
    this.#lanes = options.lanes ?? 1;
    this.#spacingMs = options.spacingMs ?? 0;
    const labels = { batcher: options.name };
    this.#entries = listEntries.labels(labels);
    this.#waits = listWaits.labels(labels);
    // A batcher that nobody uses any more must not stay because it is measured.
    const self = new WeakRef(this);
    waitingEntries.add(() => [[labels, self.deref()?.waiting ?? 0]]);
  }

  /** How many entries wait now. */
  get waiting(): number {
    return this.#queue.waiting;
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
        bytes: this.#options.sizeOf?.(input) ?? 0,
        span: activeSpan(),
        settled: false,
      };
      this.#queue.add(entry);
      if (options.signal) this.#watch(entry, options.signal);
      if (entry.deadline !== Number.POSITIVE_INFINITY) this.#expireLater();
      if (!options.patient) this.#hurried = true;
      this.#schedule();
    });
  }

  /** Takes nothing more and resolves once everything that waits has been answered. */
  drain(): Promise<void> {
    this.#drained ??= Promise.withResolvers<void>();
    this.#hurried = true;
    this.#schedule();
    this.#settleDrain();
    return this.#drained.promise;
  }

  #refusal(signal: AbortSignal | undefined): Error | undefined {
    const { name } = this.#options;
    if (signal?.aborted) return givenUp(signal);
    if (this.#drained) {
      const metadata = { dependency: name };
      return new PlatformError(PlatformErrorReason.UNAVAILABLE, "the service stops", metadata, { retryAfterMs });
    }
    if (this.#queue.waiting < this.#maxWaiting && this.#queue.size < 2 * this.#maxWaiting) return undefined;
    const message = `more than ${this.#maxWaiting} entries wait for ${name}`;
    return new PlatformError(PlatformErrorReason.OVERLOADED, message, { queue: name }, { retryAfterMs });
  }

  /** After the event loop's turn, so that all calls that came with it go together; later where nobody hurries. */
  #schedule(): void {
    if (this.#scheduled || this.#running >= this.#lanes || this.#queue.waiting === 0) return;
    const company = this.#hurried ? 0 : this.#taken + this.#spacingMs - performance.now();
    if (company > 0 && this.#queue.waiting < this.#maxEntries) {
      this.#company ??= setTimeout(this.#flush, company);
      return;
    }
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  #fillLanes(): void {
    this.#scheduled = false;
    clearTimeout(this.#company);
    this.#company = undefined;
    while (this.#running < this.#lanes) {
      const batch = this.#queue.take(this.#maxEntries, this.#maxBytes);
      if (!batch[0]) break;
      this.#taken = performance.now();
      this.#entries.observe(batch.length);
      this.#waits.observe((performance.now() - batch[0].since) / 1_000);
      this.#running += 1;
      void this.#runBatch(batch);
    }
    // Who is left now has waited for a lane, or for an entry of the same key.
    this.#hurried = this.#queue.waiting > 0;
    this.#settleDrain();
  }

  async #runBatch(batch: Entry<I, O>[]): Promise<void> {
    await this.#answer(batch);
    this.#running -= 1;
    for (const entry of batch) this.#queue.release(entry);
    this.#schedule();
    this.#settleDrain();
  }

  async #answer(batch: Entry<I, O>[]): Promise<void> {
    try {
      const inputs = batch.map((entry) => entry.input);
      const outputs = await runShared(this.#options.name, batch, () => this.#options.run(inputs));
      if (outputs.length !== batch.length)
        throw new Error(`${this.#options.name} answered ${outputs.length} of ${batch.length}`);
      for (const [index, output] of outputs.entries()) {
        const entry = batch[index] as Entry<I, O>;
        if (output instanceof Error) entry.reject(output);
        else entry.resolve(output);
      }
    } catch (error) {
      await this.#fail(batch, error);
    }
  }

  /** One bad entry must not take the others with it; a lost connection or a deadlock is everybody's. */
  async #fail(batch: Entry<I, O>[], error: unknown): Promise<void> {
    if (batch.length > 1 && isDataError(error)) {
      const middle = batch.length >> 1;
      await this.#answer(batch.slice(0, middle));
      await this.#answer(batch.slice(middle));
      return;
    }
    for (const entry of batch) entry.reject(error);
  }

  #watch(entry: Entry<I, O>, signal: AbortSignal): void {
    const abort = () => {
      this.#queue.giveUp(entry, givenUp(signal));
      this.#settleDrain();
    };
    signal.addEventListener("abort", abort, { once: true });
    entry.unwatch = () => signal.removeEventListener("abort", abort);
  }

  /** For deadlines that pass behind a slow batch; nothing is looked through while nothing waits. */
  #expireLater(): void {
    this.#sweeper ??= setTimeout(() => {
      this.#sweeper = undefined;
      if (this.#queue.expire()) this.#expireLater();
      this.#settleDrain();
    }, sweepEveryMs).unref();
  }

  #settleDrain(): void {
    if (this.#drained && this.#running === 0 && this.#queue.waiting === 0) this.#drained.resolve();
  }
}
