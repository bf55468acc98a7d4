import { Relay } from "#platform/batch/relay.ts";
import { type Selected, selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { encodeId } from "#platform/id.ts";
import type { Logger } from "#platform/log/logger.ts";
import { awaitsStock } from "./back-order-state.ts";
import type { OrderMetrics } from "./metrics.ts";
import type { OrderStatus } from "./order.ts";
import { firstIdAt } from "./order-id.ts";
import { awaitsReview } from "./review-state.ts";

/** The statuses that an order leaves again. */
const openStatuses = ["pending", "confirmed", "preparing", "shipped"] as const satisfies readonly OrderStatus[];

/** How orders can stand still: in a status that they leave again, or in an episode. */
const stalls = [...openStatuses, "carried"] as const;

type Stall = (typeof stalls)[number];

/** What the watch works with. */
export interface ProgressWatchOptions {
  readonly database: Queryable;
  readonly metrics: Pick<OrderMetrics, "oldestPending" | "stalled" | "oldestStalled">;
  readonly logger: Pick<Logger, "warn" | "error">;
  /** For how long an order may stay as it is, in milliseconds. */
  readonly allowedMs: Readonly<Record<Stall, number>>;
}

/** Between two looks, in milliseconds. */
const everyMs = 2_000;
/** The most orders of one kind that are counted. */
const countMax = 1_000;
/** The most orders that are logged in one look; the others follow. */
const logMax = 20;

const oldestPending: SqlText = {
  name: "order_oldest_pending",
  text: `select create_time as "createTime" from customer_order where status = 'pending' and review_time is null
      and back_order_time is null
    order by order_id limit 1`,
};

/** An order that stays as it is. */
interface StalledRow {
  readonly orderId: string;
  readonly seconds: number;
  /** The workflow that has it. */
  readonly episodeId: string | null;
}

const stalledColumns = {
  orderId: "o.order_id",
  seconds: "extract(epoch from now() - update_time)::float8",
  episodeId: "o.episode_id",
} as const satisfies Selected<StalledRow>;

/**
 * An order that stands still was created earlier than that, and ids sort by the time of creation: so the index of the list by
 * status leads to the oldest, without another one. What says itself why it waits is left out: parked steps, reviews, back-orders, and services
 * that are away while the order is tried again. So is what counts as carried for too long: an order counts once.
 */
const stalled: SqlText = {
  name: "order_stalled",
  text: `select ${selectList<StalledRow>(stalledColumns)} from customer_order o
    where status = $1 and order_id < $2 and update_time < now() - $3::float8 * interval '1 millisecond'
      and not exists (select from episode e where e.episode_id = o.episode_id and e.ack_time is not null
        and e.start_time < now() - $4::float8 * interval '1 millisecond')
      and park_time is null and not (${awaitsReview}) and not (${awaitsStock})
      and not (waits_for is not null and (
        episode_id is not null or exists (select from order_event e where e.order_id = o.order_id)))
    order by order_id limit ${countMax}`,
};

/** Episodes last for seconds. Those that the worker does not have are no matter of one order: they are told by the alert on events. */
const carried: SqlText = {
  name: "order_carried_long",
  text: `select ${selectList<StalledRow>({ ...stalledColumns, seconds: "extract(epoch from now() - e.start_time)::float8" })}
    from episode e cross join lateral (
      select i.order_id, o.episode_id from unnest(e.order_ids) as i(order_id) cross join lateral (
        select episode_id from customer_order
        where customer_order.order_id = i.order_id and episode_id = e.episode_id limit 1
      ) o
    ) o
    where e.start_time < now() - $1::float8 * interval '1 millisecond' and e.ack_time is not null
    order by e.start_time, e.episode_id limit ${countMax}`,
};

/** Tells the metrics how long orders wait for their first answer, and which do not get on, once in the log for each of them. */
export function createProgressWatch(options: ProgressWatchOptions): Relay {
  const { database, metrics, logger } = options;
  const said = new Map(stalls.map((stall) => [stall, new Set<string>()]));
  const sweep = async () => {
    const [oldest] = await database.query<{ createTime: Date }>(oldestPending);
    metrics.oldestPending.set(oldest ? Math.max(0, Date.now() - oldest.createTime.getTime()) / 1_000 : 0);
    for (const [stall, known] of said) show(options, { stall, known, rows: await stalledOf(options, stall) });
    return 0;
  };
  return new Relay({ name: "watching progress", everyMs, log: logger, sweep });
}

async function stalledOf({ database, allowedMs }: ProgressWatchOptions, stall: Stall): Promise<StalledRow[]> {
  const allowed = allowedMs[stall];
  if (stall === "carried") return await database.query<StalledRow>(carried, [allowed]);
  return await database.query<StalledRow>(stalled, [
    stall,
    firstIdAt(Date.now() - allowed),
    allowed,
    allowedMs.carried,
  ]);
}

interface Stalled {
  readonly stall: Stall;
  readonly rows: readonly StalledRow[];
  /** The orders that the log has; those that got on are forgotten. */
  readonly known: Set<string>;
}

function show({ metrics, logger }: ProgressWatchOptions, { stall, rows, known }: Stalled): void {
  metrics.stalled.set({ status: stall }, rows.length);
  metrics.oldestStalled.set({ status: stall }, Math.max(0, ...rows.map(({ seconds }) => seconds)));
  const now = new Set(rows.map(({ orderId }) => orderId));
  for (const orderId of known) if (!now.has(orderId)) known.delete(orderId);
  const news = rows.filter(({ orderId }) => !known.has(orderId)).slice(0, logMax);
  for (const { orderId, episodeId } of news) {
    known.add(orderId);
    logger.warn(`an order is ${stall} for too long`, {
      "order.id": encodeId(orderId),
      "saga.id": episodeId === null ? undefined : encodeId(episodeId),
    });
  }
}
