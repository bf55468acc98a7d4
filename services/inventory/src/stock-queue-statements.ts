import { writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { isExpired, isOpen, isWaiting, type Line, type Reservation } from "./stock.ts";
import type { ReservationChange } from "./stock-book.ts";
import type { QueueState } from "./stock-queue.ts";
import type { PlaceOf } from "./stock-rows.ts";

/** How much of articles orders wait for; a statement of its own behind the locks, so that it sees who came while it was waited for them. */
export const readClaims: SqlText = {
  name: "stock_claims",
  text: `select s.sku, w.quantity, w.orders from unnest($1::text[]) as s(sku) cross join lateral (
      select sum(quantity)::bigint as quantity, count(*)::int as orders from back_order_line
      where back_order_line.sku = s.sku
    ) w where w.orders > 0`,
};

/** What those want whose turn is before that of these orders. $1: order ids. */
export const readAhead: SqlText = {
  name: "stock_ahead",
  text: `select l.order_id as "orderId", l.sku, a.quantity from back_order_line l cross join lateral (
      select coalesce(sum(quantity), 0)::bigint as quantity from back_order_line
      where back_order_line.sku = l.sku and back_order_line.place < l.place
    ) a where l.order_id = any($1::uuid[])`,
};

/** Who waits for an article, by turn. $1: the article, $2: the turn after which it goes on, $3: at most so many. */
export const readBackOrders: SqlText = {
  name: "back_orders",
  text: `select order_id as "orderId", l.quantity, (before.quantity + sum(l.quantity) over turns - l.quantity)::bigint as ahead,
      wait_time as since, place
    from back_order_line l cross join (
      select coalesce(sum(quantity), 0) as quantity from back_order_line where sku = $1 and place <= $2
    ) before
    where sku = $1 and place > $2 window turns as (order by place) order by place limit $3`,
};

/** Turns, in the order in which they are asked for. $1: how many. */
const nextPlaces: SqlText = {
  name: "stock_places",
  text: "select nextval('back_order_place') as place from generate_series(1, $1::int)",
};

interface LineRow {
  readonly order_id: string;
  readonly place: string;
  readonly sku: string;
  readonly quantity: string;
  readonly wait_time: Date;
}

const input = writtenColumns<LineRow>({
  order_id: "uuid",
  place: "bigint",
  sku: "text",
  quantity: "bigint",
  wait_time: "timestamptz",
});

/** $1: lines of orders that wait from now on; ids of orders: $2 that wait no more, $3 whose turn has come, $4 that hold nothing any more. */
export const writeQueue: SqlText = {
  name: "stock_queue_write",
  text: `with gone as (
      delete from back_order_line where order_id = any($2::uuid[])
    ), news as (
      insert into back_order_news (order_id) select unnest($3::uuid[]) on conflict (order_id) do update set
        serve_time = excluded.serve_time, due_time = excluded.due_time, attempts = 0
    ), ended as (
      delete from back_order_news where order_id = any($4::uuid[])
    )
    insert into back_order_line (${input.names}) select ${input.names} from json_to_recordset($1::json) as i(${input.typed})`,
};

const available = (sku: string) =>
  // biome-ignore lint/plugin/sql: called below, with the names of columns
  `select coalesce(sum(on_hand - reserved), 0)::bigint as available from stock_level where stock_level.sku = ${sku}`;

/** Of `stocked`, which are articles that some is there of: the orders whose turn has come in all that they want. */
const inTurn = `turn as (
    select distinct q.order_id, q.place from stocked cross join lateral (
      select order_id, place, sum(quantity) over (order by place) as upto from back_order_line
      where back_order_line.sku = stocked.sku
    ) q where q.upto <= stocked.available
  )
  select turn.order_id as "orderId", l.skus from turn cross join lateral (
    select array_agg(l.sku) as skus, bool_and(
      (select sum(quantity) from back_order_line a where a.sku = l.sku and a.place <= l.place) <= (${available("l.sku")})
    ) as complete
    from back_order_line l where l.order_id = turn.order_id
  ) l where l.complete order by turn.place limit $1`;

/** Looks from each article that is waited for to the next one. */
const waited = `recursive waited as (
    (select sku from back_order_line order by sku limit 1)
    union all
    select (select l.sku from back_order_line l where l.sku > waited.sku order by l.sku limit 1) from waited
    where waited.sku is not null
  )`;

const stocked = (skus: string) =>
  `stocked as materialized (
    select w.sku, a.available from (${skus}) as w(sku) cross join lateral (${available("w.sku")}) a where a.available > 0
  )`;

/** Orders whose turn has come, by it; of all. $1: at most so many. */
export const findServable: SqlText = {
  name: "stock_servable",
  text: `with ${waited}, ${stocked("select sku from waited where sku is not null")}, ${inTurn}`,
};

/** The same of those that want one of these articles. $2: SKUs. */
export const findServableOf: SqlText = {
  name: "stock_servable_of",
  text: `with ${stocked(`select u.sku from unnest($2::text[]) as u(sku)
      where exists (select from back_order_line where back_order_line.sku = u.sku)`)}, ${inTurn}`,
};

/** An order whose turn has come, and what it waits for. */
export interface Servable {
  readonly orderId: string;
  readonly skus: readonly string[];
}

/** Reads what orders wait for, behind the locks of the articles. @param max so many may wait for one article */
export async function readQueue(
  tx: Queryable,
  { skus, serving }: { readonly skus: readonly string[]; readonly serving: readonly string[] },
  max: number,
): Promise<QueueState> {
  type Claim = { sku: string; quantity: bigint; orders: number };
  type Ahead = { orderId: string; sku: string; quantity: bigint };
  const [claims, places] = await Promise.all([
    skus.length > 0 ? tx.query<Claim>(readClaims, [skus]) : [],
    serving.length > 0 ? tx.query<Ahead>(readAhead, [serving]) : [],
  ]);
  const ahead = Map.groupBy(places, ({ orderId }) => encodeId(orderId));
  return {
    claimed: new Map(claims.map(({ sku, quantity }) => [sku, quantity])),
    full: new Set(claims.filter(({ orders }) => orders >= max).map(({ sku }) => sku)),
    ahead: new Map([...ahead].map(([id, own]) => [id, new Map(own.map(({ sku, quantity }) => [sku, quantity]))])),
  };
}

/** What changed in the queue with reservations. */
export interface QueueChange {
  /** They wait from now on. */
  readonly came: readonly Reservation[];
  readonly left: readonly Reservation[];
  /** Their turn has come. */
  readonly served: readonly Reservation[];
  /** They were given up: nobody needs to hear of their turn. One whose hold has ended is to ask again. */
  readonly over: readonly Reservation[];
  /** What those want, or wanted, who wait from now on, or no more: others may be served with it. */
  readonly skus: readonly string[];
}

/** What changed in the queue; undefined when nothing did. */
export function queueChange(changes: readonly ReservationChange[]): QueueChange | undefined {
  // The hot path: nobody waits, or has waited.
  const waits = changes.filter(({ before, after }) => before?.wait !== undefined || after.wait !== undefined);
  if (waits.length === 0) return undefined;
  const of = (test: (change: ReservationChange) => boolean) => waits.filter(test).map(({ after }) => after);
  const moved = waits.filter(({ before, after }) => isWaiting(before) !== isWaiting(after));
  return {
    skus: moved.flatMap(({ before, after }) => ((isWaiting(before) ? before : after).wait?.lines ?? []).map(skuOf)),
    came: of(({ before, after }) => isWaiting(after) && !isWaiting(before)),
    left: of(({ before, after }) => isWaiting(before) && !isWaiting(after)),
    served: of(({ before, after }) => isWaiting(before) && after.wait?.served === true),
    over: of(({ after }) => !isWaiting(after) && !isExpired(after) && !after.allocations.some(isOpen)),
  };
}

function skuOf({ sku }: Line): string {
  return sku;
}

/** Writes it down; returns the turns of those that wait from now on. */
export async function changeQueue(tx: Queryable, change: QueueChange): Promise<PlaceOf> {
  const placeOf = await newPlaces(tx, change.came);
  const rows = change.came.flatMap(({ orderId, wait }) =>
    (wait?.lines ?? []).map(
      ({ sku, quantity }): LineRow => ({
        order_id: decodeId(orderId),
        place: String(wait?.place ?? placeOf(orderId)),
        sku,
        quantity: String(quantity),
        wait_time: wait?.since ?? new Date(),
      }),
    ),
  );
  const ids = (reservations: readonly Reservation[]) => reservations.map(({ orderId }) => decodeId(orderId));
  await tx.query(writeQueue, [JSON.stringify(rows), ids(change.left), ids(change.served), ids(change.over)]);
  return placeOf;
}

async function newPlaces(tx: Queryable, came: readonly Reservation[]): Promise<PlaceOf> {
  const newcomers = came.filter(({ wait }) => wait?.place === undefined);
  if (newcomers.length === 0) return () => undefined;
  const rows = await tx.query<{ place: bigint }>(nextPlaces, [newcomers.length]);
  const places = new Map(newcomers.map(({ orderId }, index) => [orderId, rows[index]?.place]));
  return (orderId) => places.get(orderId);
}
