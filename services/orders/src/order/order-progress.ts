import { Relay } from "#platform/batch/relay.ts";
import { selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { encodeId } from "#platform/id.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { OrderMetrics } from "./metrics.ts";
import type { OrderStatus } from "./order.ts";
import { firstIdAt } from "./order-id.ts";

/** The statuses that an order leaves again. */
const openStatuses = ["pending", "confirmed", "preparing", "shipped"] as const satisfies readonly OrderStatus[];

type OpenStatus = (typeof openStatuses)[number];

/** What the watch works with. */
export interface ProgressWatchOptions {
  readonly database: Queryable;
  readonly metrics: Pick<OrderMetrics, "oldestPending" | "stalled" | "oldestStalled">;
  readonly logger: Pick<Logger, "warn" | "error">;
  /** For how long an order may stay as it is, in milliseconds. */
  readonly allowedMs: Readonly<Record<OpenStatus, number>>;
}

/** Between two looks, in milliseconds. */
const everyMs = 2_000;
/** The most orders of one status that are counted. */
const countMax = 1_000;
/** The most orders that are logged in one look; the others follow. */
const logMax = 20;

const oldestPending: SqlText = {
  name: "order_oldest_pending",
  text: `select create_time as "createTime" from customer_order where status = 'pending' order by order_id limit 1`,
};

/** An order that stays as it is. */
interface StalledRow {
  readonly orderId: string;
  readonly seconds: number;
  /** The workflow that has it. */
  readonly episodeId: string | null;
}

const stalledColumns = selectList<StalledRow>({
  orderId: true,
  seconds: "extract(epoch from now() - update_time)::float8",
  episodeId: true,
});

/**
 * An order that stands still was created earlier than that, and ids sort by the time of creation: so the index of the list by
 * status leads to the oldest, without another one. What says itself why it waits is left out: parked steps, and services
 * that are away while the order is tried again.
 */
const stalled: SqlText = {
  name: "order_stalled",
  prepared: false,
  text: `select ${stalledColumns} from customer_order o
    where status = $1 and order_id < $2 and update_time < now() - $3::float8 * interval '1 millisecond'
      and park_time is null and not (waits_for is not null and (
        episode_id is not null or exists (select from order_event e where e.order_id = o.order_id)))
    order by order_id limit ${countMax}`,
};

/** Tells the metrics how long orders wait for their first answer, and which do not get on, once in the log for each of them. */
export function createProgressWatch(options: ProgressWatchOptions): Relay {
  const { database, metrics, logger } = options;
  const said = new Map(openStatuses.map((status) => [status, new Set<string>()]));
  const sweep = async () => {
    const [oldest] = await database.query<{ createTime: Date }>(oldestPending);
    metrics.oldestPending.set(oldest ? Math.max(0, Date.now() - oldest.createTime.getTime()) / 1_000 : 0);
    for (const [status, known] of said) await watchStatus(options, status, known);
    return 0;
  };
  return new Relay({ name: "watching progress", everyMs, log: logger, sweep });
}

/** @param known the orders that the log has; those that got on are forgotten */
async function watchStatus(options: ProgressWatchOptions, status: OpenStatus, known: Set<string>): Promise<void> {
  const { database, metrics, allowedMs } = options;
  const createdBefore = firstIdAt(Date.now() - allowedMs[status]);
  const rows = await database.query<StalledRow>(stalled, [status, createdBefore, allowedMs[status]]);
  metrics.stalled.set({ status }, rows.length);
  metrics.oldestStalled.set({ status }, Math.max(0, ...rows.map(({ seconds }) => seconds)));
  const now = new Set(rows.map(({ orderId }) => orderId));
  for (const orderId of known) if (!now.has(orderId)) known.delete(orderId);
  const news = rows.filter(({ orderId }) => !known.has(orderId)).slice(0, logMax);
  for (const row of news) {
    known.add(row.orderId);
    say(options.logger, status, row);
  }
}

function say(logger: Pick<Logger, "warn">, status: OpenStatus, { orderId, episodeId }: StalledRow): void {
  logger.warn(`an order is ${status} for too long`, {
    "order.id": encodeId(orderId),
    "saga.id": episodeId === null ? undefined : encodeId(episodeId),
  });
}
