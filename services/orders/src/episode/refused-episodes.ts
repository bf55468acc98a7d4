import { runInContext } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { EpisodeRepository } from "./episode.repository.ts";
import type { Episode, EpisodeOrder } from "./episode.ts";
import type { OrderSettler } from "./order-settler.ts";

/** What the end of refused episodes works with. */
export interface RefusedEpisodesOptions {
  readonly episodes: Pick<EpisodeRepository, "takeApart">;
  readonly settler: Pick<OrderSettler, "settle">;
  readonly logger: Pick<Logger, "warn">;
  /** Told that episodes are there that are to be started. */
  readonly onLeft: () => void;
  /** How long the worker may refuse an order before this is the order's end, in milliseconds. */
  readonly giveUpAfterMs: number;
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
 * taken apart first, so that one order does not take the others with it. What has begun already has no such end: its start is
 * repeated until it is taken.
 */
export class RefusedEpisodes {
  readonly #options: RefusedEpisodesOptions;

  constructor(options: RefusedEpisodesOptions) {
    this.#options = options;
  }

  /** Told about every start that is refused. Never throws: what fails here is done at the next refusal. */
  async refused(episode: Episode): Promise<void> {
    const [first] = episode.orders;
    if (!first) return;
    try {
      if (episode.orders.length > 1) await this.#takeApart(episode);
      else if (this.#isGivenUp(first)) await this.#reject(episode.episodeId, first.orderId);
    } catch (reason) {
      const fields = { "saga.id": episode.episodeId, err: reason };
      this.#options.logger.warn("refused orders could not be given an end yet", fields);
    }
  }

  /** Only at its very beginning: later there is something to be undone. */
  #isGivenUp({ saga, createTime }: EpisodeOrder): boolean {
    return saga === "" && Date.now() - createTime.getTime() >= this.#options.giveUpAfterMs;
  }

  async #takeApart(episode: Episode): Promise<void> {
    const { episodes, logger, onLeft } = this.#options;
    await episodes.takeApart(episode);
    const fields = { "saga.id": episode.episodeId, "orders.count": episode.orders.length };
    logger.warn("the orders of a refused episode get one each", fields);
    onLeft();
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
      parked: undefined,
    } as const;
    const signal = AbortSignal.timeout(settleTimeoutMs);
    await runInContext({ actor: "service:orders" }, () => settler.settle(settlement, signal));
    logger.warn("an order is rejected that the worker refuses", { "order.id": orderId, "saga.id": episodeId });
  }
}
