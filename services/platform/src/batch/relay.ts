import type { Logger } from "#platform/log/logger.ts";
import { relayRuns, relaySuccess } from "#platform/metrics/process-metrics.ts";

/** What a relay does and how often. */
export interface RelayOptions {
  readonly name: string;
  /** Between the end of one sweep and the start of the next. */
  readonly everyMs: number;
  /** Does what is due and returns how much that was; more than 0 means: look again at once. */
  readonly sweep: (signal: AbortSignal) => Promise<number>;
  /** Told what failed. */
  readonly log: Pick<Logger, "error">;
  /** After failures the pause doubles up to this; default 30,000. */
  readonly maxPauseMs?: number;
}

/**
 * A loop that does what a crash, a lost call or the passing of time left to do: at start, then on a timer, and when it is
 * nudged. Sweeps never overlap; a failing one is logged and repeated after a growing pause.
 */
export class Relay {
  readonly #options: RelayOptions;
  #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #wake = Promise.withResolvers<void>();
  #failures = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** Begins with a sweep. */
  start(): void {
    if (this.#running) return;
    this.#stopped = new AbortController();
    this.#running = this.#loop(this.#stopped.signal);
  }

  /** Aborts the sweep that runs and resolves once it has ended. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake.resolve();
    await this.#running;
    this.#running = undefined;
  }

  /** Sweeps now instead of when the timer says; during a sweep: once more after it. */
  nudge(): void {
    this.#wake.resolve();
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      const handled = await this.#sweep(signal);
      if (signal.aborted) return;
      if (handled > 0) continue;
      await this.#pause();
    }
  }

  async #sweep(signal: AbortSignal): Promise<number> {
    const { name: relay } = this.#options;
    try {
      const handled = await this.#options.sweep(signal);
      this.#failures = 0;
      relayRuns.inc({ relay, outcome: handled > 0 ? "worked" : "idle" });
      relaySuccess.set({ relay }, Date.now() / 1_000);
      return handled;
    } catch (error) {
      if (signal.aborted) return 0;
      this.#failures += 1;
      relayRuns.inc({ relay, outcome: "failed" });
      this.#options.log.error(`${this.#options.name} failed`, { err: error, "relay.failures": this.#failures });
      return 0;
    }
  }

  async #pause(): Promise<void> {
    const { everyMs, maxPauseMs = 30_000 } = this.#options;
    const pauseMs =
      this.#failures === 0 ? everyMs : Math.min(everyMs * 2 ** (this.#failures - 1), Math.max(maxPauseMs, everyMs));
    const timer = setTimeout(() => this.#wake.resolve(), pauseMs);
    await this.#wake.promise;
    clearTimeout(timer);
  }
}
