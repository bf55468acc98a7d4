import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";

/** $1: lease in milliseconds, $2: at most so many. */
export const claimNews: SqlText = {
  name: "back_order_news_claim",
  text: `update back_order_news n set attempts = n.attempts + 1,
      due_time = clock_timestamp() + $1::float8 * interval '1 millisecond'
    where n.order_id = any(array(
      select order_id from back_order_news where due_time <= now() order by due_time limit $2 for update skip locked))
    returning n.order_id as "orderId"`,
};

/**
 * From now on the hold is like any other: it ends after its time. Not that of an order that was confirmed or released meanwhile.
 * Reservations are locked in the order of their ids, as everybody does. $1: order ids.
 */
export const closeNews: SqlText = {
  name: "back_order_news_close",
  text: `with told as (
      delete from back_order_news where order_id = any($1::uuid[]) returning order_id
    ), locked as materialized (
      select r.order_id from reservation r where r.order_id = any($1::uuid[]) order by r.order_id for update
    )
    update reservation r set expire_time = clock_timestamp() + (r.wait->>'hold_ms')::bigint * interval '1 millisecond'
    from locked join told using (order_id)
    where r.order_id = locked.order_id and r.expire_time is not null and r.wait is not null`,
};

/** Not all of them come back at the same time. $1: order ids; $2, $3: the longest pause and half the first. */
export const deferNews: SqlText = {
  name: "back_order_news_defer",
  text: `update back_order_news n set due_time = clock_timestamp()
      + least($2::float8, $3::float8 * 2 ^ least(n.attempts, 20)) * (0.5 + random()) * interval '1 millisecond'
    where n.order_id = any(array(
      select order_id from back_order_news where order_id = any($1::uuid[]) order by order_id for update))`,
};

const oldest: SqlText = {
  name: "back_order_news_oldest",
  text: `select greatest(0, extract(epoch from now() - min(serve_time)))::float8 as seconds from (
      select serve_time from back_order_news order by due_time limit 1000) n`,
};

/** The shortest and the longest pause before orders is told again, in milliseconds, give or take a half. */
const pauses = { first: 250, longest: 10_000 };

/** The outbox to orders: whose turn has come without its knowing it. */
export class BackOrderNewsRepository {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** Orders that are to be told of now; nobody else gets them for the time of the lease. */
  async claim(leaseMs: number, limit: number): Promise<string[]> {
    const rows = await this.#database.query<{ orderId: string }>(claimNews, [leaseMs, limit]);
    return rows.map(({ orderId }) => encodeId(orderId));
  }

  /** These are done with. */
  async close(orderIds: readonly string[]): Promise<void> {
    if (orderIds.length > 0) await this.#database.query(closeNews, [orderIds.map(decodeId)]);
  }

  /** Orders has not taken these: it is told again after a pause that doubles. */
  async defer(orderIds: readonly string[]): Promise<void> {
    if (orderIds.length === 0) return;
    await this.#database.query(deferNews, [orderIds.map(decodeId), pauses.longest, pauses.first / 2]);
  }

  /** For how many seconds the oldest news has waited; 0 when there is none. */
  async backlog(): Promise<number> {
    const [row] = await this.#database.query<{ seconds: number | null }>(oldest);
    return row?.seconds ?? 0;
  }
}
