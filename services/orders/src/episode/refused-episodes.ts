import { runInContext } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { EpisodeRepository, FaultPolicy } from "./episode.repository.ts";
import type { Episode, EpisodeOrder } from "./episode.ts";
import { logGivenBack } from "./given-back.ts";
import type { OrderSettler } from "./order-settler.ts";

/** What the end of refused episodes works with. */
export interface RefusedEpisodesOptions {
  readonly episodes: Pick<EpisodeRepository, "takeApart" | "giveBack">;
  readonly settler: Pick<OrderSettler, "settle">;
  readonly logger: Pick<Logger, "warn">;
  /** Told that episodes are there that are to be started. */
  readonly onLeft: () => void;
  /** How long the worker may refuse an order before this is the order's end, in milliseconds. */
  readonly giveUpAfterMs: number;
  readonly faults: FaultPolicy;
}

/** Why an order is refused: its reason, in upper snake case, and one line for people. */
export interface StartRefusal {
  readonly reason: string;
  readonly error: string;
}

/** How an order ends that the worker does not take. Nothing was reserved or held for it. */
const failure = {
  reason: "NOT_ACCEPTED",
  customerMessage: "The order could not be completed. Nothing was charged.",
};
/** For the one statement that ends an order, in milliseconds. */
const settleTimeoutMs = 10_000;

/**
 * Gives orders an end that the worker refuses for good: with INVALID_ARGUMENT, which is about the orders, and then the worker
 * has begun nothing. Any other refusal tells of a fault in the deployment, and goes away with it. An episode of several is
 * taken apart first, so that one order does not take the others with it. What has begun already has no such end: it is tried
 * again after a pause, and parked when that does not help.
 */
export class RefusedEpisodes {
  readonly #options: RefusedEpisodesOptions;

  constructor(options: RefusedEpisodesOptions) {
    this.#options = options;
  }

  /** Told about every start that is refused. Never throws: what fails here is done at the next refusal. */
  async refused(episode: Episode, refusal: StartRefusal): Promise<void> {
    const [first] = episode.orders;
    if (!first) return;
    try {
      if (episode.orders.length > 1) await this.#takeApart(episode);
      else if (first.saga !== "") await this.#giveBack(episode.episodeId, first.orderId, refusal);
      else if (this.#isGivenUp(first)) await this.#reject(episode.episodeId, first.orderId);
    } catch (reason) {
      const fields = { "saga.id": episode.episodeId, err: reason };
      this.#options.logger.warn("refused orders could not be given an end yet", fields);
    }
  }

  #isGivenUp({ ageMs }: EpisodeOrder): boolean {
    return ageMs >= this.#options.giveUpAfterMs;
  }

  async #takeApart(episode: Episode): Promise<void> {
    const { episodes, logger, onLeft } = this.#options;
    await episodes.takeApart(episode);
    const fields = { "saga.id": episode.episodeId, "orders.count": episode.orders.length };
    logger.warn("the orders of a refused episode get one each", fields);
    onLeft();
  }

  async #giveBack(episodeId: string, orderId: string, refusal: StartRefusal): Promise<void> {
    const { episodes, logger, faults } = this.#options;
    const fault = { episodeId, orderId, ...refusal };
    for (const order of await episodes.giveBack({ episodeIds: [episodeId], faults: [fault] }, faults)) {
      logGivenBack(logger, order);
    }
  }

  async #reject(episodeId: string, orderId: string): Promise<void> {
    const { settler, logger } = this.#options;
    const settlement = {
      orderId,
      episodeId,
      to: "rejected",
      failure,
      shipments: undefined,
      saga: undefined,
      cancellable: false,
      needsCard: false,
      retryAfterMs: undefined,
      waitsFor: "",
      amended: 0,
      cancellationHeard: undefined,
      parked: undefined,
      awaitsStock: false,
    } as const;
    const signal = AbortSignal.timeout(settleTimeoutMs);
    await runInContext({ actor: "service:orders" }, () => settler.settle(settlement, signal));
    logger.warn("an order is rejected that the worker refuses", { "order.id": orderId, "saga.id": episodeId });
  }
}
