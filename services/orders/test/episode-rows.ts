import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type SettleOrderRequest, SettleOrderRequestSchema } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import type { EpisodeEvent, EpisodeOrder } from "#gen/shop/sagas/v1/saga_pb.js";
import type { StartEpisodeRequest } from "#gen/shop/sagas/v1/saga_service_pb.js";
import type { Database } from "#platform/database/database.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { type Claimed, EpisodeRepository, type GivenBack } from "../src/episode/episode.repository.ts";
import type { Haste } from "../src/episode/order-event.ts";
import type { FakeWorker } from "./fake-worker.ts";

/** Looks at once, and forms no batches but of what is there. */
export const eager = {
  DISPATCH_SWEEP_EVERY_MS: 10,
  DISPATCH_SWEEP_AGE_MS: 30,
  EPISODE_SPACING_MS: 0,
  EPISODE_SWEEP_EVERY_MS: 20,
  EPISODE_SWEEP_AGE_MS: 30,
};

/** Never looks by itself. */
export const patient = {
  DISPATCH_SWEEP_EVERY_MS: 600_000,
  DISPATCH_SWEEP_AGE_MS: 30,
  EPISODE_SPACING_MS: 0,
  EPISODE_SWEEP_EVERY_MS: 600_000,
};

/** How an order stands in the database. */
export interface StoredOrder {
  readonly status: string;
  readonly revision: number;
  readonly episodeId: string | undefined;
  readonly saga: string | null;
  readonly cardToken: string | null;
  readonly waitsFor: string | null;
  readonly parkedStep: string | null;
  readonly parkedReason: string | null;
  readonly parkedError: string | null;
  /** Kinds of events that wait. */
  readonly events: readonly string[];
}

/** Reads an order as it stands. */
export async function stored(database: Database, orderId: string): Promise<StoredOrder> {
  const [row] = await database.query<StoredOrder & { episodeId: string | null; events: string[] | null }>(
    `select status, revision, episode_id as "episodeId", saga::text, card_token as "cardToken", waits_for as "waitsFor",
      parked_step as "parkedStep", parked_reason as "parkedReason", parked_error as "parkedError", (
        select array_agg(kind order by create_time, event_id) from order_event e where e.order_id = o.order_id
      ) as events
    from customer_order o where order_id = $1`,
    [decodeId(orderId)],
  );
  if (!row) throw new Error(`there is no order ${orderId}`);
  return {
    ...row,
    episodeId: row.episodeId === null ? undefined : encodeId(row.episodeId),
    events: row.events ?? [],
  };
}

/** Gives orders to an episode, however many there are. */
export async function claim(
  episodes: EpisodeRepository,
  limit: number,
  haste: Haste = "prompt",
): Promise<Claimed | undefined> {
  const claimed = await episodes.claim(haste, { limit, openMax: 1_000_000 });
  if (claimed === "full") throw new Error("there are too many episodes");
  return claimed;
}

/** Has the orders of an episode rest that is gone by nobody's fault. */
export function giveBack(database: Queryable, episodeId: string): Promise<GivenBack[]> {
  return new EpisodeRepository(database).giveBack({ episodeIds: [episodeId], faults: [] }, { max: 5, pauseMs: 1 });
}

/** How many episodes there are, and how many of them nobody acknowledged. */
export async function episodeCounts(database: Database): Promise<{ episodes: number; open: number }> {
  const [row] = await database.query<{ episodes: number; open: number }>(
    "select count(*)::int as episodes, (count(*) filter (where ack_time is null))::int as open from episode",
  );
  return row ?? { episodes: 0, open: 0 };
}

/** What a test may want otherwise in {@link settlement}. */
export type SettlementChanges = Omit<MessageInitShape<typeof SettleOrderRequestSchema>, "$typeName" | "$unknown">;

/** A settlement that leaves the order where it is. */
export function settlement(orderId: string, episodeId: string, changes: SettlementChanges = {}): SettleOrderRequest {
  const resting = { orderId, episodeId, saga: '{"stage":"CHECKOUT"}', cancellable: true, needsCard: true };
  return create(SettleOrderRequestSchema, { ...resting, ...changes });
}

/** The starts that had an order; one that is slow to be acknowledged is repeated. */
export function startsOf(worker: FakeWorker, orderId: string): StartEpisodeRequest[] {
  return worker.starts.filter(({ orders }) => orders.some((order) => order.orderId === orderId));
}

/** The episodes that had an order, each by its first start. */
export function episodesWith(worker: FakeWorker, orderId: string): StartEpisodeRequest[] {
  const starts = startsOf(worker, orderId).toReversed();
  return [...new Map(starts.map((start) => [start.episodeId, start])).values()].toReversed();
}

/** The order as its last episode was started with it. */
export function lastStart(worker: FakeWorker, orderId: string): { episodeId: string; order: EpisodeOrder } | undefined {
  const start = episodesWith(worker, orderId).at(-1);
  const order = start?.orders.find((each) => each.orderId === orderId);
  return start && order && { episodeId: start.episodeId, order };
}

/** What events are. */
export function kinds(events: readonly EpisodeEvent[]): (string | undefined)[] {
  return events.map(({ event }) => event.case);
}
