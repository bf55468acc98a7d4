import { setTimeout as sleep } from "node:timers/promises";
import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import type { Admission } from "./admission.ts";
import type { EpisodeRepository } from "./episode.repository.ts";
import type { Episode } from "./episode.ts";
import type { EpisodeStarts } from "./episode-starts.ts";
import { Pace } from "./pace.ts";

/** What a starter works with. */
export interface EpisodeStarterOptions {
  readonly episodes: Pick<EpisodeRepository, "claim" | "repeat">;
  readonly starts: Pick<EpisodeStarts, "start">;
  readonly admission: Pick<Admission, "observed">;
  readonly logger: Pick<Logger, "error" | "info" | "warn">;
  readonly metrics: OrderMetrics;
  /** The most milliseconds between two claims. */
  readonly spacingMs: number;
  /** The most orders of an episode. */
  readonly batchMax: number;
  /** Starts that are under way at the same time. */
  readonly concurrency: number;
  /** Episodes that are open at the same time, in all processes together. */
  readonly openMax: number;
  /** Between two looks for what became due by time, and for what others left, in milliseconds. */
  readonly everyMs: number;
  /** Starts that were begun later are left to the process that began them, in milliseconds. */
  readonly repeatAgeMs: number;
}

/** After failures, in milliseconds: a worker or a database that is back should not wait long for what was left. */
const maxPauseMs = 5_000;
/** Between two attempts to start the same episode, in milliseconds. */
const firstRetryMs = 100;
const maxRetryMs = 2_000;
/** How long a start keeps its place, in milliseconds: then one that never succeeds must not stand in the way of others. */
const maxHeldMs = 30_000;
/** Between two looks while no more episodes may be open, in milliseconds. */
const fullPauseMs = 250;
/** Starts that were left and are taken on at once. */
const repeatLimit = 16;

/**
 * Has orders carried to which something happened. Batches form in time: see {@link Pace}. A claimed episode is started until
 * the worker has it; it keeps its place meanwhile, so that a worker that is away is not left with more and more of them: what
 * comes waits in its row, and goes together when it is back. A worker that takes episodes and does not end them is left with
 * so many and no more, for the same reason. What a process leaves when it ends, or gives up, is taken on by
 * whoever looks next.
 */
export class EpisodeStarter {
  readonly #options: EpisodeStarterOptions;
  readonly #pace: Pace;
  readonly #claims: Relay;
  readonly #repeats: Relay;
  readonly #stopped = new AbortController();
  /** Starts that run in this process. */
  readonly #underWay = new Map<string, Promise<void>>();
  #wake = Promise.withResolvers<void>();
  /** Whether there were as many episodes as there may be. */
  #full = false;

  constructor(options: EpisodeStarterOptions) {
    this.#options = options;
    const { spacingMs, batchMax, everyMs, logger: log } = options;
    this.#pace = new Pace({ spacingMs, full: batchMax });
    const claim = (signal: AbortSignal) => this.#claim(signal);
    this.#claims = new Relay({ name: "episode starter", everyMs, maxPauseMs, log, sweep: claim });
    const repeat = () => this.#repeat();
    this.#repeats = new Relay({ name: "episode repeater", everyMs, maxPauseMs, log, sweep: repeat });
  }

  /** Begins to look for what is due. */
  start(): void {
    this.#claims.start();
    this.#repeats.start();
  }

  /** This process accepted events that have orders carried. */
  accepted(count: number): void {
    this.#pace.accepted(count);
    this.#wake.resolve();
    this.#claims.nudge();
  }

  /** Episodes wait to be started that no process has under way. */
  left(): void {
    this.#repeats.nudge();
  }

  /** Claims no more, and resolves once what is under way has ended, or was given up. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake.resolve();
    await Promise.all([this.#claims.stop(), this.#repeats.stop()]);
    await Promise.all(this.#underWay.values());
  }

  /** Returns how many orders an episode was begun for. */
  async #claim(signal: AbortSignal): Promise<number> {
    await this.#company(signal);
    await this.#place(signal);
    if (signal.aborted) return 0;
    const { episodes, admission, metrics, batchMax, openMax } = this.#options;
    this.#pace.claiming();
    const claimed = await episodes.claim(batchMax, openMax);
    this.#sayFull(claimed === "full");
    if (claimed === "full") return await this.#lookAgain(signal);
    const count = claimed?.episode.orders.length ?? 0;
    this.#pace.claimed(performance.now(), { count, more: claimed?.more ?? false });
    admission.observed(claimed?.waitedMs ?? 0);
    if (!claimed) return 0;
    metrics.episodeSize.observe(count);
    this.#begin(claimed.episode);
    return count;
  }

  /** Some milliseconds later: an episode that ends tells nobody. What waits is refused or admitted by its age meanwhile. */
  async #lookAgain(signal: AbortSignal): Promise<number> {
    await sleep(fullPauseMs, undefined, { signal }).catch(() => undefined);
    return 1;
  }

  /** Once, not with each look. */
  #sayFull(full: boolean): void {
    if (full === this.#full) return;
    this.#full = full;
    const { logger, openMax } = this.#options;
    const fields = { "episodes.max": openMax };
    if (full) logger.warn("no more episodes are begun until others have settled their orders", fields);
    else logger.info("episodes are begun again", fields);
  }

  /** Waits for others that may go together; not when nothing is known to wait: then time has come for a look. */
  async #company(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      const waitMs = this.#pace.waitMs(performance.now());
      if (waitMs <= 0 || waitMs === Number.POSITIVE_INFINITY) return;
      const timer = setTimeout(() => this.#wake.resolve(), waitMs);
      await this.#wake.promise;
      clearTimeout(timer);
    }
  }

  async #place(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#underWay.size >= this.#options.concurrency) {
      await Promise.race(this.#underWay.values());
    }
  }

  #begin(episode: Episode): void {
    const begun = this.#startUntilTaken(episode).finally(() => this.#underWay.delete(episode.episodeId));
    this.#underWay.set(episode.episodeId, begun);
  }

  async #startUntilTaken(episode: Episode): Promise<void> {
    const { signal } = this.#stopped;
    const giveUp = performance.now() + maxHeldMs;
    for (
      let retryMs = firstRetryMs;
      !signal.aborted && performance.now() < giveUp;
      retryMs = Math.min(2 * retryMs, maxRetryMs)
    ) {
      if ((await this.#options.starts.start(episode)) !== "failed") return;
      await sleep(retryMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
    }
  }

  /** Returns how many episodes the worker took that another process, or a refusal, had left. @throws when it takes none */
  async #repeat(): Promise<number> {
    const { episodes, starts, repeatAgeMs } = this.#options;
    const left = await episodes.repeat({ leaseMs: repeatAgeMs, limit: repeatLimit });
    const mine = left.filter(({ episodeId }) => !this.#underWay.has(episodeId));
    const outcomes = await Promise.all(mine.map((episode) => starts.start(episode)));
    if (outcomes.length > 0 && outcomes.every((outcome) => outcome === "failed")) {
      throw new Error("no episode that was left could be started");
    }
    return outcomes.filter((outcome) => outcome === "acknowledged").length;
  }
}
