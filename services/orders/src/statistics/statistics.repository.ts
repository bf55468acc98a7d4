import { selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { OrderStatus } from "../order/order.ts";

/** Which counts; what is not given does not matter. */
export interface StatisticsFilter {
  /** `2026-12-01`, in UTC; both are included. */
  readonly firstDay: string;
  readonly lastDay: string;
  readonly currency: string | undefined;
  readonly status: OrderStatus | undefined;
  /** Empty: whole orders; undefined: each article. */
  readonly sku: string | undefined;
}

/** Orders of one day, article, currency and status. Amounts are minor units. */
export interface Statistic {
  /** `2026-12-01`, in UTC. */
  readonly day: string;
  /** Empty: whole orders. */
  readonly sku: string;
  readonly currency: string;
  readonly status: OrderStatus;
  readonly orders: bigint;
  readonly units: bigint;
  readonly ordered: bigint;
  readonly captured: bigint;
  readonly refunded: bigint;
}

/** The place of a count among all. */
export type StatisticPlace = readonly [day: string, sku: string, currency: string, status: string];

/** How far the counts have come. */
export interface StatisticsState {
  readonly generation: number;
  /** A place in the audit log: what comes after it may not be counted. */
  readonly transaction: string;
  readonly eventId: string;
  /** Null while nothing is counted. */
  readonly trueUntilTime: Date | null;
  readonly now: Date;
}

/** An event of the audit log, as far as counting needs it. */
export interface CountedEvent {
  readonly transaction: string;
  readonly eventId: string;
  /** Null when it is about no order. */
  readonly orderId: string | null;
  /** Whether no other event can come before it any more. */
  readonly settled: boolean;
}

/** The beginning of the audit log, and of everything else that is in the order of ids. */
export const lowestPlace = { transaction: "0", eventId: "00000000-0000-0000-0000-000000000000" } as const;

/** A log that came from another server has numbers that are none here: it is read from its beginning. */
const isAhead = "transaction >= pg_snapshot_xmax(pg_current_snapshot())";

const stateColumns = selectList<StatisticsState>({
  generation: true,
  transaction: `case when ${isAhead} then '${lowestPlace.transaction}' else transaction end`,
  eventId: `case when ${isAhead} then '${lowestPlace.eventId}' else event_id end`,
  trueUntilTime: true,
  now: "now()",
});

const readState: SqlText = { name: "statistics_state", text: `select ${stateColumns} from order_statistics_state` };

/** One process counts at a time: what an order has in the counts is taken out by who puts it in. */
const lockState: SqlText = {
  name: "statistics_lock",
  text: `select ${stateColumns} from order_statistics_state for no key update`,
};

const eventColumns = selectList<CountedEvent>({
  transaction: true,
  eventId: true,
  orderId: true,
  settled: "transaction < pg_snapshot_xmin(pg_current_snapshot())",
});

const readEvents: SqlText = {
  name: "statistics_events",
  text: `select ${eventColumns} from audit_event where (transaction, event_id) > ($1::xid8, $2::uuid)
    order by transaction, event_id limit $3`,
};

const amountOf = (statuses: string) => `coalesce((select sum((s ->> 'amount')::bigint)
      from jsonb_array_elements(o.shipments) s where s ->> 'status' in (${statuses})), 0)::bigint`;

/** What was paid back of parcels that were lost; of one that a version before wrote down, all of it. */
const lost = `coalesce((select sum(coalesce(s ->> 'refunded', s ->> 'amount')::bigint)
      from jsonb_array_elements(o.shipments) s where s ->> 'status' = 'lost'), 0)::bigint`;

/** What was paid back for articles that came back, or that nobody wants to have back. */
const returned = `coalesce((select sum(r.amount) from order_return r
      where r.order_id = o.order_id and r.status = 'completed'), 0)::bigint`;

/**
 * What an order is in the counts, from its row. A direct query over the tables says the same: see the test that compares them.
 *
 * @param from a clause that has the orders as `o`
 */
function factsOf(from: string): string {
  // biome-ignore lint/plugin/sql: called where statements are constants
  return `select o.order_id, (o.create_time at time zone 'UTC')::date as day, o.currency, o.status, l.units,
      o.total as ordered, ${amountOf("'shipped', 'delivered', 'lost', 'returned'")} as captured, ${lost} + ${returned} as refunded,
      l.articles
    from ${from} cross join lateral (
      select coalesce(sum(units), 0)::bigint as units,
        coalesce(jsonb_agg(jsonb_build_array(sku, units, ordered) order by sku collate "C"), '[]') as articles
      from (
        select sku, sum(quantity)::bigint as units,
          sum(coalesce((o.line_amounts ->> (line_number - 1))::bigint, quantity * unit_price))::bigint as ordered
        from order_line where order_line.order_id = o.order_id group by sku
      ) by_sku
    ) l`;
}

const factColumns = "order_id, day, currency, status, units, ordered, captured, refunded, articles";
const measures = ["orders", "units", "ordered", "captured", "refunded"] as const;
const each = (form: (measure: string) => string, glue = ", ") => measures.map(form).join(glue);

/**
 * Puts orders into the counts as they are now, after taking out what was in there of them: so it may be done again at any time. $1 is the
 * generation, $2 has the ids; one that has no order any more is taken out.
 */
const count: SqlText = {
  name: "statistics_count",
  text: `with given as materialized (
    select distinct order_id from unnest($2::uuid[]) as i(order_id)
  ), after as materialized (
    ${factsOf(`given cross join lateral (
      select * from customer_order where customer_order.order_id = given.order_id limit 1
    ) o`)}
  ), before as materialized (
    select f.* from given cross join lateral (
      select ${factColumns} from order_statistics_fact f where f.generation = $1 and f.order_id = given.order_id limit 1
    ) f
  ), signed as (
    select 1 as sign, after.* from after union all select -1, before.* from before
  ), parts as (
    select sign, day, '' as sku, currency, status, 1 as orders, units, ordered, captured, refunded from signed
    union all
    select sign, day, a ->> 0, currency, status, 1, (a ->> 1)::bigint, (a ->> 2)::bigint, 0, 0
    from signed cross join lateral jsonb_array_elements(articles) a
  ), sums as materialized (
    select day, sku, currency, status, ${each((name) => `sum(sign * ${name})::bigint as ${name}`)} from parts
    group by day, sku, currency, status having ${each((name) => `sum(sign * ${name}) <> 0`, " or ")}
  ), left_out as (
    delete from order_statistics_fact where generation = $1
      and order_id = any(array(select order_id from before except select order_id from after))
  ), put_in as (
    insert into order_statistics_fact as f (generation, ${factColumns}) select $1, ${factColumns} from after
    on conflict (generation, order_id) do update set day = excluded.day, currency = excluded.currency,
      status = excluded.status, units = excluded.units, ordered = excluded.ordered, captured = excluded.captured,
      refunded = excluded.refunded, articles = excluded.articles
    where (f.day, f.currency, f.status, f.units, f.ordered, f.captured, f.refunded, f.articles) is distinct from
      (excluded.day, excluded.currency, excluded.status, excluded.units, excluded.ordered, excluded.captured,
        excluded.refunded, excluded.articles)
  )
  insert into order_statistics as s (generation, day, sku, currency, status, ${each((name) => name)})
  select $1, day, sku, currency, status, ${each((name) => name)} from sums order by day, sku, currency, status
  on conflict (generation, day, sku, currency, status) do update set
    ${each((name) => `${name} = s.${name} + excluded.${name}`)}`,
};

const removeEmpty: SqlText = {
  name: "statistics_empty",
  text: "delete from order_statistics where generation = $1 and orders = 0",
};

/** Whoever began earlier and comes later does not turn back the time, as both have counted what was there. */
const moveState: SqlText = {
  name: "statistics_move",
  text: `update order_statistics_state set transaction = $1::xid8, event_id = $2::uuid,
    true_until_time = greatest(true_until_time, $3::timestamptz)`,
};

/** Both a new number and what may not be counted under it: all that is written from now on, or is being written. */
const beginRebuild: SqlText = {
  name: "statistics_rebuild_begin",
  text: `update order_statistics_state set rebuilding = greatest(generation, coalesce(rebuilding, 0)) + 1
    returning rebuilding as generation, pg_snapshot_xmin(pg_current_snapshot()) as transaction, now() as now`,
};

const isRebuilding: SqlText = {
  name: "statistics_rebuild_look",
  text: "select from order_statistics_state where rebuilding = $1",
};

const endRebuild: SqlText = {
  name: "statistics_rebuild_end",
  text: `update order_statistics_state set generation = $1, rebuilding = null, transaction = $2::xid8,
      event_id = '${lowestPlace.eventId}', true_until_time = $3::timestamptz
    where rebuilding = $1 returning generation`,
};

const nextOrders: SqlText = {
  name: "statistics_rebuild_orders",
  text: `select order_id as "orderId" from customer_order where order_id > $1::uuid order by order_id limit $2`,
};

const former = (table: string): SqlText => ({
  name: `${table}_former`,
  prepared: false,
  // biome-ignore lint/plugin/sql: the two tables below
  text: `with former as (
      select ctid from ${table}, (select generation as shown, coalesce(rebuilding, generation) as made from order_statistics_state) s
      where generation not in (s.shown, s.made) limit $1
    ), gone as (delete from ${table} where ctid in (select ctid from former) returning 1)
    select count(*)::int as count from gone`,
});
const removeFormer = [former("order_statistics"), former("order_statistics_fact")];

/** The counts of orders in the database. */
export class StatisticsRepository {
  readonly #database: Queryable;

  /** @param database or a transaction, in which what is read stays locked */
  constructor(database: Queryable) {
    this.#database = database;
  }

  /** How far the counts have come. */
  state(): Promise<StatisticsState> {
    return this.#one(readState);
  }

  /** The same, and nobody else counts until the transaction ends. */
  lock(): Promise<StatisticsState> {
    return this.#one(lockState);
  }

  /** What the audit log has after a place, as far as it is to be seen yet. */
  events(place: { transaction: string; eventId: string }, limit: number): Promise<CountedEvent[]> {
    return this.#database.query<CountedEvent>(readEvents, [place.transaction, place.eventId, limit]);
  }

  /** Has orders counted as they are now. */
  async count(generation: number, orderIds: readonly string[]): Promise<void> {
    if (orderIds.length === 0) return;
    await this.#database.query(count, [generation, orderIds]);
    await this.#database.query(removeEmpty, [generation]);
  }

  /** Notes how far it has come. @param trueUntil undefined: not yet to the end */
  async move(place: { transaction: string; eventId: string }, trueUntil: Date | undefined): Promise<void> {
    await this.#database.query(moveState, [place.transaction, place.eventId, trueUntil ?? null]);
  }

  /** Begins to count anew, beside what is shown. Whoever began before gives up. */
  beginRebuild(): Promise<Pick<StatisticsState, "generation" | "transaction" | "now">> {
    return this.#one(beginRebuild);
  }

  /** Whether nobody has begun anew since. */
  async isRebuilding(generation: number): Promise<boolean> {
    return (await this.#database.query(isRebuilding, [generation])).length > 0;
  }

  /** Shows what was counted anew. Returns false when somebody else has begun since. */
  async endRebuild(begun: Pick<StatisticsState, "generation" | "transaction" | "now">): Promise<boolean> {
    const rows = await this.#database.query(endRebuild, [begun.generation, begun.transaction, begun.now]);
    return rows.length > 0;
  }

  /** Orders by their ids, which are uuids. */
  async ordersAfter(orderId: string, limit: number): Promise<string[]> {
    return (await this.#database.query<{ orderId: string }>(nextOrders, [orderId, limit])).map((row) => row.orderId);
  }

  /** Takes away some of what is neither shown nor being made; returns how much that was. */
  async removeFormer(limit: number): Promise<number> {
    let sum = 0;
    for (const remove of removeFormer) {
      const [row] = await this.#database.query<{ count: number }>(remove, [limit]);
      sum += row?.count ?? 0;
    }
    return sum;
  }

  /** The counts, by day, article, currency and status. */
  list(filter: StatisticsFilter, page: { after: StatisticPlace | undefined; limit: number }): Promise<Statistic[]> {
    const { text, values } = statisticsListStatement(filter, page);
    return this.#database.query<Statistic>(text, values);
  }

  async #one<R extends object>(statement: SqlText): Promise<R> {
    const [row] = await this.#database.query<R>(statement);
    if (!row) throw new Error("order_statistics_state has no row");
    return row;
  }
}

const statisticColumns = selectList<Statistic>({
  day: "to_char(s.day, 'YYYY-MM-DD')",
  sku: "s.sku",
  currency: "s.currency",
  status: "s.status",
  orders: "s.orders",
  units: "s.units",
  ordered: "s.ordered",
  captured: "s.captured",
  refunded: "s.refunded",
});

/** The text of a list and its values. */
export function statisticsListStatement(
  { firstDay, lastDay, currency, status, sku }: StatisticsFilter,
  { after, limit }: { after: StatisticPlace | undefined; limit: number },
): { text: string; values: unknown[] } {
  const values: unknown[] = [firstDay, lastDay];
  const conditions = ["s.day between $1::date and $2::date"];
  const add = (condition: (parameter: string) => string, value: unknown): void => {
    if (value !== undefined) conditions.push(condition(`$${values.push(value)}`));
  };
  add((parameter) => `s.sku = ${parameter}`, sku);
  if (sku === undefined) conditions.push("s.sku > ''");
  add((parameter) => `s.currency = ${parameter}`, currency);
  add((parameter) => `s.status = ${parameter}`, status);
  if (after) {
    const [day, article, ...place] = after;
    const columns =
      sku === undefined ? ["s.day", "s.sku", "s.currency", "s.status"] : ["s.day", "s.currency", "s.status"];
    const parts = (sku === undefined ? [day, article, ...place] : [day, ...place]).map(
      (part, index) => `$${values.push(part)}${index === 0 ? "::date" : ""}`,
    );
    conditions.push(`(${columns.join(", ")}) > (${parts.join(", ")})`);
  }
  const order = sku === undefined ? "s.day, s.sku, s.currency, s.status" : "s.day, s.currency, s.status";
  // biome-ignore lint/plugin/sql: the conditions are those above, with parameters
  const text = `select ${statisticColumns} from order_statistics s
    where s.generation = (select generation from order_statistics_state where only_row) and ${conditions.join(" and ")}
    order by ${order} limit $${values.push(limit)}`;
  return { text, values };
}
