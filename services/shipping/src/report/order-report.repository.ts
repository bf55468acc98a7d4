import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId } from "#platform/id.ts";
import type { News, Shipment } from "../shipment/shipment.ts";
import { type ShipmentRow, shipmentColumns, toShipment } from "../shipment/shipment-row.ts";

/** A shipment of which orders has not heard something. */
export interface UntoldShipment extends Shipment {
  readonly news: News;
}

/** News that needs not be told any more: orders has taken it, or never will. */
export interface ClosedNews {
  readonly shipment: UntoldShipment;
  /** Why orders never takes it; empty when it has. */
  readonly refusal: string;
}

/** Whether orders is told of `s`. What a process of the version before created does not say so: it had a saga, if another one was told. */
const isReported = "coalesce(s.reported, s.saga_id = '')";

/**
 * What orders is to be told next of the shipment `s`: it follows from where the shipment stands and from what orders has
 * heard, so no news can be lost, and each comes when the one before it was heard. What the carrier decided is news only when
 * it decided after the caller was answered. The index `shipment_news_idx` has the same words.
 */
const nextNews = `case
      when s.status = 'ready' and s.told_news = '' then 'packed'
      when s.status = 'failed' and s.failed_by = 'warehouse' and s.told_news = '' then 'packing_failed'
      when s.status = 'failed' and s.failed_by = 'carrier' and s.awaited and s.told_news in ('', 'packed') then 'booking_refused'
      when s.status in ('shipped', 'delivered', 'lost') and s.awaited and s.told_news in ('', 'packed') then 'booked'
      when s.status in ('delivered', 'lost') and s.told_news in ('', 'packed', 'booked') then s.status
      when s.status = 'cancelled' and s.awaited and s.told_news in ('', 'packed') then 'cancelled'
    end`;

/** The same of one that came back; see the index `shipment_returned_news_idx`. */
const isReturnedUntold = "s.status = 'returned' and s.told_news <> 'returned'";
const anyNews = `coalesce(case when ${isReturnedUntold} then 'returned' end, ${nextNews})`;

/** Claiming an end counts as having told it: from here on the status stays, see `applyEvents`. $1: lease, $2: at most. */
const claimDue: SqlText = {
  name: "news_claim",
  text: `update shipment s set news_attempts = s.news_attempts + 1,
      news_due_time = clock_timestamp() + $1 * interval '1 millisecond',
      report_attempts = s.report_attempts + case when ${anyNews} in ('delivered', 'lost', 'returned') then 1 else 0 end
    where s.shipment_id = any(array(
      select s.shipment_id from shipment s
      where ${isReported} and ${nextNews} is not null and s.news_due_time <= now()
      order by s.news_due_time limit $2 for update skip locked) || array(
      select s.shipment_id from shipment s
      where ${isReported} and ${isReturnedUntold} and s.news_due_time <= now()
      order by s.news_due_time limit $2 for update skip locked))
    returning ${shipmentColumns}, ${anyNews} as news`,
};

/** Locks $1 in the order in which everybody does: whoever was told packed is booking the same shipments already. */
const locked = `s.shipment_id = any(array(
      select shipment_id from shipment where shipment_id = any($1::uuid[]) order by order_id, location_id for update))`;

/** What has happened to the shipment since it was claimed is due at once. $1: ids, $2: news, $3: refusals. */
const close: SqlText = {
  name: "news_close",
  text: `update shipment s set told_news = case when ${anyNews} = d.news then d.news else s.told_news end,
      news_refusal = d.refusal, news_attempts = 0, news_due_time = '-infinity'
    from unnest($1::uuid[], $2::text[], $3::text[]) as d(shipment_id, news, refusal)
    where s.shipment_id = d.shipment_id and ${locked}`,
};

/** Not all of them come back at the same time. $1: ids, $2, $3: the longest pause and half the first. */
const defer: SqlText = {
  name: "news_defer",
  text: `update shipment s set news_due_time = clock_timestamp()
      + least($2::float8, $3::float8 * 2 ^ least(s.news_attempts, 20)) * (0.5 + random()) * interval '1 millisecond'
    where ${locked}`,
};

/** How many shipments are looked at to find the one that waits longest. */
const backlogSample = 1_000;

const findOldest: SqlText = {
  name: "news_backlog",
  text: `select greatest(0, extract(epoch from now() - min(update_time)))::float8 as seconds from (
      select s.update_time from shipment s
      where ${isReported} and ${nextNews} is not null and s.news_due_time <= 'infinity'
      order by s.news_due_time limit ${backlogSample}) as untold`,
};

/** The shortest and the longest pause before orders is told again, in milliseconds, give or take a half. */
const pauses = { first: 250, longest: 10_000 };

/** The outbox to orders: each shipment's row says what orders has not heard of it. */
export class OrderReportRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Shipments of which orders is to be told now; nobody else gets them for the time of the lease. */
  async claimDue(leaseMs: number, limit: number): Promise<UntoldShipment[]> {
    const rows = await this.#database.query<ShipmentRow & { readonly news: News }>(claimDue, [leaseMs, limit]);
    return rows.map((row) => ({ ...toShipment(row), news: row.news }));
  }

  /** These are done with; what has happened meanwhile is told next. */
  async close(closed: readonly ClosedNews[]): Promise<void> {
    if (closed.length === 0) return;
    const ids = closed.map(({ shipment }) => decodeId(shipment.shipmentId));
    const news = closed.map(({ shipment }) => shipment.news);
    await this.#database.query(close, [ids, news, closed.map(({ refusal }) => refusal)]);
  }

  /** Orders has not taken these: it is told again after a pause that doubles. */
  async defer(shipments: readonly UntoldShipment[]): Promise<void> {
    if (shipments.length === 0) return;
    const ids = shipments.map(({ shipmentId }) => decodeId(shipmentId));
    await this.#database.query(defer, [ids, pauses.longest, pauses.first / 2]);
  }

  /** For how many seconds the oldest news has waited, whether it is due or put off; 0 when there is none. */
  async backlog(): Promise<number> {
    const [row] = await this.#database.query<{ seconds: number | null }>(findOldest);
    return row?.seconds ?? 0;
  }
}
