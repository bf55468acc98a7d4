import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import type { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { detached, withSubject } from "#platform/context.ts";
import { isCallerFault } from "#platform/errors.ts";
import type { Logger } from "#platform/log/logger.ts";
import {
  activeTraceParent,
  isYoung,
  linksTo,
  resumeTrace,
  runSpan,
  startBatchSpan,
  startResumed,
  traceParentOf,
} from "#platform/trace/spans.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import type { EpisodeRepository } from "./episode.repository.ts";
import type { Episode, EpisodeOrder } from "./episode.ts";
import { toStartEpisode } from "./episode-proto.ts";
import type { StartRefusal } from "./refused-episodes.ts";

/** What starts work with. */
export interface EpisodeStartsOptions {
  readonly sagas: Pick<Client<typeof SagaService>, "startEpisode">;
  readonly episodes: Pick<EpisodeRepository, "acknowledge">;
  readonly logger: Pick<Logger, "info" | "warn" | "error" | "log">;
  readonly metrics: OrderMetrics;
  /** Whether orders are screened. */
  readonly screens: () => Promise<boolean>;
  /** How long an order waits for stock, at most, in milliseconds. */
  readonly backOrderMaxMs: number;
  /** How long one start may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Told about an episode that the worker refuses because of its orders. */
  readonly onRefused: (episode: Episode, refusal: StartRefusal) => Promise<void>;
}

/**
 * What came of a start: the worker has the episode, it refuses these orders, or it takes no episode now: it is away, or the
 * deployment is at fault.
 */
export type StartOutcome = "acknowledged" | "refused" | "failed";

/** Hands episodes to the worker and notes that it has them. A start may be repeated: the worker starts an episode once. */
export class EpisodeStarts {
  readonly #options: EpisodeStartsOptions;
  /** Whether the last start failed: a worker that is away is said once, not for each episode. */
  #failing = false;

  constructor(options: EpisodeStartsOptions) {
    this.#options = options;
  }

  /** Starts an episode once. Never throws: what fails is logged and counted here. */
  async start(episode: Episode): Promise<StartOutcome> {
    const [first, ...others] = episode.orders;
    const subject = {
      "saga.id": episode.episodeId,
      ...(first && others.length === 0 && { "order.id": first.orderId }),
    };
    return await detached(() => withSubject(subject, () => this.#start(episode)));
  }

  async #start(episode: Episode): Promise<StartOutcome> {
    const { sagas, screens, backOrderMaxMs, timeoutMs, metrics } = this.#options;
    try {
      await inDispatchTrace(episode, async () => {
        // Nothing is left to carry: it is only to be noted that it was.
        if (episode.orders.length === 0) return;
        const policy = { screens: await screens(), backOrderMaxMs };
        await sagas.startEpisode(toStartEpisode(inTheirTraces(episode), policy), { timeoutMs });
      });
    } catch (error) {
      return await this.#failed(episode, error);
    }
    metrics.dispatches.inc({ outcome: "acknowledged" });
    if (this.#failing) this.#options.logger.info("episodes can be started again");
    this.#failing = false;
    await this.#acknowledge(episode);
    return "acknowledged";
  }

  /** The worker has the episode whether this is stored or not: if it is not, it is started once more. */
  async #acknowledge({ episodeId }: Episode): Promise<void> {
    const { episodes, logger } = this.#options;
    await episodes.acknowledge(episodeId).catch((error: unknown) => {
      logger.warn("a started episode could not be noted", { "saga.id": episodeId, err: error });
    });
  }

  async #failed(episode: Episode, error: unknown): Promise<StartOutcome> {
    const { metrics, logger, onRefused } = this.#options;
    const fields = { "saga.id": episode.episodeId, "orders.count": episode.orders.length, err: error };
    const code = error instanceof ConnectError ? error.code : Code.Unknown;
    if (isCallerFault(code)) {
      metrics.dispatches.inc({ outcome: "refused" });
      logger.error("the worker refuses an episode; its orders stay as they are", fields);
      if (code !== Code.InvalidArgument) return "failed";
      await onRefused(episode, refusalOf(error));
      return "refused";
    }
    metrics.dispatches.inc({ outcome: "failed" });
    logger.log(this.#failing ? "debug" : "warn", "an episode could not be started yet", fields);
    this.#failing = true;
    return "failed";
  }
}

/** Longest text of a refusal that is kept. */
const maxError = 300;

/** What something between us and the worker refuses has no reason of ours. */
function refusalOf(error: unknown): StartRefusal {
  if (!(error instanceof ConnectError)) return { reason: "REFUSED", error: String(error) };
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason ?? "REFUSED";
  return { reason, error: error.rawMessage.slice(0, maxError) };
}

const spanName = "dispatch";

/**
 * Runs the handing over of an episode in its trace. One of a single order belongs to the order's trace, as long as that is
 * young; one of several has a trace of its own that is linked to those of its orders, and is kept when one of theirs is.
 */
function inDispatchTrace<T>({ episodeId, orders }: Episode, work: () => Promise<T>): Promise<T> {
  const attributes = { "saga.id": episodeId, "ordermesh.list.size": orders.length };
  const [first, ...others] = orders;
  if (first && others.length === 0) {
    const { orderId, traceparent, createTime: time } = first;
    const options = { name: spanName, attributes: { ...attributes, "order.id": orderId } };
    return resumeTrace({ traceparent, time }, options, work);
  }
  const traceparents = orders.map(({ traceparent }) => traceparent);
  return runSpan(startBatchSpan(spanName, { attributes }, traceparents), work);
}

/** The episode with the trace in which each of its orders goes on; to be called in the trace of the handing over. */
function inTheirTraces(episode: Episode): Episode {
  const here = activeTraceParent();
  if (here === undefined) return episode;
  return {
    ...episode,
    orders: episode.orders.map((order) => ({ ...order, traceparent: traceOf(order, episode, here) })),
  };
}

/** An order of long ago has a trace for each of its episodes, linked to its first one. */
function traceOf({ orderId, traceparent, createTime: time }: EpisodeOrder, episode: Episode, here: string): string {
  if (isYoung(time)) return traceparent;
  if (episode.orders.length === 1) return here;
  const attributes = {
    "saga.id": episode.episodeId,
    "order.id": orderId,
    "ordermesh.list.size": episode.orders.length,
  };
  const span = startResumed({ traceparent, time }, { name: spanName, attributes, links: linksTo([here]) });
  span?.end();
  return traceParentOf(span);
}
