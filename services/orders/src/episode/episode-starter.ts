import { setTimeout as sleep } from "node:timers/promises";
import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import type { Admission } from "./admission.ts";
import type { EpisodeRepository } from "./episode.repository.ts";
import type { Episode } from "./episode.ts";
import type { EpisodeStarts } from "./episode-starts.ts";
import { type Haste, hastes } from "./order-event.ts";

/** What a starter works with. */
export interface EpisodeStarterOptions {
  readonly episodes: Pick<EpisodeRepository, "claim" | "repeat">;
  readonly starts: Pick<EpisodeStarts, "start">;
  readonly admission: Pick<Admission, "observed">;
  readonly logger: Pick<Logger, "error" | "info" | "warn">;
  readonly metrics: OrderMetrics;
  /** The most milliseconds between two claims of the same haste. */
  readonly spacingMs: Readonly<Record<Haste, number>>;
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
/**
 * While nothing is due, looks for what others left are up to so many times as far apart: what this process accepts tells it.
 * Not looks for what becomes due by time: that tells nobody, and the caller of a checkout may wait for it.
 */
const rests = 4;
/** Between two attempts to start the same episode, in milliseconds. */
const firstRetryMs = 100;
const maxRetryMs = 2_000;
/** How long a start keeps its place, in milliseconds: then one that never succeeds must not stand in the way of others. */
const maxHeldMs = 30_000;
/** For so long the next claim waits for a start to be acknowledged, in milliseconds; one that hangs holds up nobody. */
const maxFollowMs = 1_000;
/** Between two looks while no more episodes may be open, in milliseconds. */
const fullPauseMs = 250;
/** Starts that were left and are taken on at once. */
const repeatLimit = 16;

/**
 * Has orders carried to which something happened. Batches form in time, of what is in the same haste: see `Pace`; and the longer
 * starting takes, the larger they become. A claimed episode is started until the worker has it; it keeps its place meanwhile, so
 * that a worker that is away is not left with more and more of them: what comes waits in its row, and goes together when it is
 * back. A worker that takes episodes and does not end them is left with so many and no more, for the same reason. What a process
 * leaves when it ends, or gives up, is taken on by whoever looks next.
 */
export class EpisodeStarter {
  readonly #options: EpisodeStarterOptions;
  readonly #claims: Readonly<Record<Haste, Relay>>;
  readonly #repeats: Relay;
  readonly #stopped = new AbortController();
  /** Starts that run in this process. */
  readonly #underWay = new Map<string, Promise<void>>();
  /** The one of them that was begun last. */
  #last: Promise<void> | undefined;
  /** Whether there were as many episodes as there may be. */
  #full = false;

  constructor(options: EpisodeStarterOptions) {
    this.#options = options;
    const { everyMs, logger: log } = options;
    this.#claims = { prompt: this.#claimsOf("prompt"), relaxed: this.#claimsOf("relaxed") };
    const repeat = () => this.#repeat();
    const restMs = rests * everyMs;
    this.#repeats = new Relay({ name: "episode repeater", everyMs, restMs, maxPauseMs, log, sweep: repeat });
  }

  #claimsOf(haste: Haste): Relay {
    const { spacingMs, batchMax, everyMs, logger: log } = this.#options;
    const pace = { spacingMs: spacingMs[haste], full: batchMax };
    const sweep = (signal: AbortSignal) => this.#claim(haste, signal);
    const restMs = haste === "prompt" ? rests * everyMs : everyMs;
    return new Relay({ name: `episode starter, ${haste}`, everyMs, restMs, maxPauseMs, log, pace, sweep });
  }

  /** Begins to look for what is due. */
  start(): void {
    for (const haste of hastes) this.#claims[haste].start();
    this.#repeats.start();
  }

  /** This process accepted events that have orders carried, in this haste or in any. */
  accepted(count: number, haste?: Haste): void {
    for (const each of haste ? [haste] : hastes) this.#claims[each].nudge(count);
  }

  /** Episodes wait to be started that no process has under way. */
  left(): void {
    this.#repeats.nudge();
  }

  /** Claims no more, and resolves once what is under way has ended, or was given up. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all([...hastes.map((haste) => this.#claims[haste].stop()), this.#repeats.stop()]);
    await Promise.all(this.#underWay.values());
  }

  /** Returns how many orders an episode was begun for. */
  async #claim(haste: Haste, signal: AbortSignal): Promise<number> {
    await this.#place(signal);
    if (signal.aborted) return 0;
    const { episodes, admission, metrics, batchMax, openMax } = this.#options;
    const claimed = await episodes.claim(haste, { limit: batchMax, openMax });
    // That nothing is due in one haste says nothing about whether there is room.
    if (claimed) this.#sayFull(claimed === "full");
    if (claimed === "full") return await this.#lookAgain(haste, signal);
    if (haste === "prompt") admission.observed(claimed?.waitedMs ?? 0);
    if (!claimed) return 0;
    const count = claimed.episode.orders.length;
    metrics.episodeSize.observe(count);
    this.#begin(claimed.episode);
    if (claimed.more) this.accepted(batchMax, haste);
    return count;
  }

  /** Some milliseconds later: an episode that ends tells nobody. What waits is refused or admitted by its age meanwhile. */
  async #lookAgain(haste: Haste, signal: AbortSignal): Promise<number> {
    await sleep(fullPauseMs, undefined, { signal }).catch(() => undefined);
    this.accepted(1, haste);
    return 0;
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

  /** One start follows another: when starting takes long, because there is much to do, more of what comes meanwhile goes together. */
  async #place(signal: AbortSignal): Promise<void> {
    if (this.#last) {
      const longEnough = sleep(maxFollowMs, undefined, { signal, ref: false }).catch(() => undefined);
      await Promise.race([this.#last, longEnough]);
    }
    while (!signal.aborted && this.#underWay.size >= this.#options.concurrency) {
      await Promise.race(this.#underWay.values());
    }
  }

  #begin(episode: Episode): void {
    const begun = this.#startUntilTaken(episode).finally(() => {
      this.#underWay.delete(episode.episodeId);
      if (this.#last === begun) this.#last = undefined;
    });
    this.#underWay.set(episode.episodeId, begun);
    this.#last = begun;
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
      // biome-ignore lint/plugin/random: spreads pauses, and hides nothing
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
