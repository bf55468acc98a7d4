import type { Client } from "@connectrpc/connect";
import {
  BatchGetEpisodesRequestSchema,
  type EpisodeFault,
  EpisodeState,
  type SagaService,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";
import { whole } from "#platform/whole.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import type { EpisodeRepository, Fault, FaultPolicy } from "./episode.repository.ts";
import { logGivenBack } from "./given-back.ts";

/** What the sweep works with. */
export interface EpisodeSweepOptions {
  readonly episodes: Pick<EpisodeRepository, "carrying" | "forgetOrphans" | "forgetSettled" | "giveBack">;
  readonly sagas: Pick<Client<typeof SagaService>, "batchGetEpisodes">;
  readonly logger: Pick<Logger, "warn" | "error">;
  readonly metrics: OrderMetrics;
  /** Told how many orders are due that were given back. */
  readonly onDue: (count: number) => void;
  readonly faults: FaultPolicy;
  /** Between two sweeps, in milliseconds. */
  readonly everyMs: number;
  /** Younger episodes are not asked for, in milliseconds. */
  readonly ageMs: number;
  /** How long the worker may take to say how episodes stand, in milliseconds. */
  readonly timeoutMs: number;
}

/** Episodes in one question: few, so that an engine that takes its time over each answers about all of them in time. */
const pageSize = 16;

/**
 * Notices workflows that are gone before they settled their orders (terminated, timed out, failed, deleted), and has the
 * orders carried anew. The worker acknowledged them, so one that nobody knows has been.
 */
export function createEpisodeSweep(options: EpisodeSweepOptions): Relay {
  const { everyMs, logger } = options;
  return new Relay({ name: "episode sweep", everyMs, log: logger, sweep: () => sweep(options) });
}

async function sweep(options: EpisodeSweepOptions): Promise<number> {
  const { episodes, ageMs } = options;
  await episodes.forgetSettled(ageMs);
  await episodes.forgetOrphans(ageMs);
  for await (const episodeIds of episodes.carrying(ageMs, pageSize)) await sweepPage(options, episodeIds);
  return 0;
}

async function sweepPage(options: EpisodeSweepOptions, episodeIds: string[]): Promise<void> {
  const { sagas, episodes, metrics, logger, onDue, timeoutMs } = options;
  const asked = whole(BatchGetEpisodesRequestSchema, { episodeIds });
  const { states, faults } = await sagas.batchGetEpisodes(asked, { timeoutMs });
  const gone = episodeIds.filter((_id, index) => isGone(states[index]));
  if (gone.length === 0) return;
  const orders = await episodes.giveBack({ episodeIds: gone, faults: faults.map(toFault) }, options.faults);
  for (const order of orders) logGivenBack(logger, order);
  metrics.givenBack.inc(orders.length);
  if (orders.length > 0) onDue(orders.length);
}

function toFault({ episodeId, orderId, error }: EpisodeFault): Fault {
  return { episodeId, orderId: orderId === "" ? undefined : orderId, reason: "WORKFLOW_FAILED", error };
}

function isGone(state: EpisodeState | undefined): boolean {
  return state === EpisodeState.CLOSED || state === EpisodeState.UNKNOWN;
}
