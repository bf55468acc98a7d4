import type { Logger } from "#platform/log/logger.ts";
import { relayInterval, relayRuns, relaySuccess } from "#platform/metrics/process-metrics.ts";
import { Pace, type PaceOptions } from "./pace.ts";

/** What a relay does and how often. */
export interface RelayOptions {
  readonly name: string;
  /** Between the end of one sweep and the start of the next. */
  readonly everyMs: number;
  /** Does what is due and returns how much that was; when that is a full batch, it is looked again at once. */
  readonly sweep: (signal: AbortSignal) => Promise<number>;
  /** While there is nothing to do the pause doubles up to this; a nudge ends it. Default: it does not. */
  readonly restMs?: number;
  /** How sweeps wait for company. By default they do not: one of anything is a full batch. */
  readonly pace?: PaceOptions;
  /** Told what failed. */
  readonly log: Pick<Logger, "error">;
  /** After failures the pause doubles up to this, from a second or `everyMs` on, whichever is less; default 30,000. */
  readonly maxPauseMs?: number;
}

/** After a failure the first pause is no longer, in milliseconds, however seldom it sweeps otherwise. */
const firstRetryMs = 1_000;

/** Without company: whatever there was, there may be more. */
const alone: PaceOptions = { spacingMs: 0, full: 1 };

/**
 * A loop that does what a crash, a lost call or the passing of time left to do: at start, then on a timer, and when it is
 * nudged. Sweeps never overlap; a failing one is logged and repeated after a growing pause. The busier it is, the longer
 * it waits for company: see {@link Pace}.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #full: number;
  readonly #pace: Pace;
  #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #wake = Promise.withResolvers<void>();
  #failures = 0;
  /** Sweeps in a row that found nothing. */
  #idle = 0;

  constructor(options: RelayOptions) {
    const { pace = alone } = options;
    this.#options = options;
    this.#full = pace.full;
    this.#pace = new Pace(pace);
  }

  /** Begins with a sweep. */
  start(): void {
    if (this.#running) return;
    this.#stopped = new AbortController();
    relayInterval.set({ relay: this.#options.name }, this.#longestMs / 1_000);
    this.#succeeded();
    this.#running = this.#loop(this.#stopped.signal);
  }

  /** Aborts the sweep that runs and resolves once it has ended. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake.resolve();
    await this.#running;
    this.#running = undefined;
  }

  /** Sweeps as soon as the pace allows, instead of when the timer says, because so much came; during a sweep: after it. */
  nudge(count = 1): void {
    this.#idle = 0;
    this.#pace.came(count);
    this.#wake.resolve();
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#waitMs > 0) await this.#company(signal);
      if (signal.aborted) return;
      this.#pace.begins();
      this.#wake = Promise.withResolvers<void>();
      const handled = await this.#sweep(signal);
      this.#pace.had(performance.now(), handled);
      if (handled >= this.#full) this.#pace.came(this.#full);
      else if (!signal.aborted) await this.#pause();
    }
  }

  /** Waits for what may go together with that which is known to wait. */
  async #company(signal: AbortSignal): Promise<void> {
    for (let waitMs = this.#waitMs; waitMs > 0 && !signal.aborted; waitMs = this.#waitMs) {
      this.#wake = Promise.withResolvers<void>();
      await this.#wakeWithin(waitMs);
    }
  }

  get #waitMs(): number {
    const waitMs = this.#pace.waitMs(performance.now());
    return Number.isFinite(waitMs) ? waitMs : 0;
  }

  async #sweep(signal: AbortSignal): Promise<number> {
    const { name: relay } = this.#options;
    try {
      const handled = await this.#options.sweep(signal);
      this.#failures = 0;
      this.#idle = handled > 0 ? 0 : this.#idle + 1;
      relayRuns.inc({ relay, outcome: handled > 0 ? "worked" : "idle" });
      this.#succeeded();
      return handled;
    } catch (error) {
      if (signal.aborted) return 0;
      this.#failures += 1;
      relayRuns.inc({ relay, outcome: "failed" });
      this.#options.log.error(`${this.#options.name} failed`, { err: error, "relay.failures": this.#failures });
      return 0;
    }
  }

  /** Also when it begins: what never succeeds is to be seen as what does not any more. */
  #succeeded(): void {
    relaySuccess.set({ relay: this.#options.name }, Date.now() / 1_000);
  }

  /** Until the timer or a nudge: what has come during the sweep does not wait for the timer. */
  async #pause(): Promise<void> {
    await this.#wakeWithin(this.#failures === 0 ? this.#restMs : this.#retryMs);
  }

  /** The longest pause while nothing fails. */
  get #longestMs(): number {
    const { everyMs, restMs = everyMs } = this.#options;
    return Math.max(restMs, everyMs);
  }

  get #restMs(): number {
    const pauseMs = Math.min(this.#options.everyMs * 2 ** Math.max(0, this.#idle - 1), this.#longestMs);
    return Math.max(pauseMs, this.#pace.spacingMs(performance.now()));
  }

  get #retryMs(): number {
    const { everyMs, maxPauseMs = 30_000 } = this.#options;
    return Math.min(Math.min(everyMs, firstRetryMs) * 2 ** (this.#failures - 1), maxPauseMs);
  }

  async #wakeWithin(ms: number): Promise<void> {
    const timer = setTimeout(() => this.#wake.resolve(), ms);
    await this.#wake.promise;
    clearTimeout(timer);
  }
}
