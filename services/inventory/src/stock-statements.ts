import { type AuditEntry, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { arrayColumns, selectList, type Written } from "#platform/database/columns.ts";
import type { IdempotencyRow } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId } from "#platform/id.ts";
import type { Level, Returned } from "./stock.ts";
import type { StockBook } from "./stock-book.ts";
import {
  type ChangedReservation,
  type IdOf,
  type InsertedMovement,
  type LevelDelta,
  type MovementRow,
  type PlaceOf,
  type ReservationRow,
  toChangedReservation,
  toInsertedMovement,
  toLevelDelta,
} from "./stock-rows.ts";

/** The SELECT list of a level: its row is what it is. */
export const levelColumns: string = selectList<Level>({
  sku: true,
  locationId: true,
  onHand: true,
  reserved: true,
  updateTime: true,
});

/** The SELECT list of a movement. */
export const movementColumns: string = selectList<MovementRow>({
  movementId: true,
  sku: true,
  locationId: true,
  kind: true,
  onHandDelta: true,
  reservedDelta: true,
  orderId: true,
  reason: true,
  createTime: true,
});

const reservationColumns = selectList<ReservationRow>({
  orderId: true,
  allocations: true,
  wait: true,
  expireTime: true,
  createTime: true,
  amendment: true,
  fence: true,
  missing: true,
});

/** Only whose a reservation is. */
export type ReservationOwner = Pick<ReservationRow, "orderId">;

const ownerColumns = selectList<ReservationOwner>({ orderId: true });

/** Locks reservations, always in the order of their ids and before any level. $1: order ids. */
export const lockReservations: SqlText = {
  name: "stock_lock_reservations",
  text: `select ${reservationColumns} from reservation
    where order_id = any($1::uuid[]) order by order_id for update`,
};

/** Which of these orders have a reservation. $1: order ids. */
export const findReservations: SqlText = {
  name: "stock_find_reservations",
  text: `select ${ownerColumns} from reservation where order_id = any($1::uuid[])`,
};

const returnedColumns = selectList<Returned>({
  orderId: true,
  returnId: "reason",
  sku: true,
  quantity: "on_hand_delta",
});

/** What of orders has come back, read when their reservations are locked. $1: order ids. */
export const findReturned: SqlText = {
  name: "stock_find_returned",
  text: `select ${returnedColumns} from stock_movement where order_id = any($1::uuid[]) and kind = 'return'`,
};

/** Makes levels known that an adjustment or a return is about, so that they can be locked. $1: SKUs, $2: locations. */
export const ensureLevels: SqlText = {
  name: "stock_ensure_levels",
  text: `insert into stock_level (sku, location_id)
    select sku, location_id from unnest($1::text[], $2::text[]) as wanted (sku, location_id)
    order by sku, location_id on conflict do nothing`,
};

/** A level that is locked. */
export interface LockedLevel extends Level {
  /** What was available when the levels of its SKU were looked at to choose among them; null when it is meant itself. */
  readonly seen: bigint | null;
}

/**
 * Locks levels, always in the order of SKU and location: of some SKUs those of which most is available, and those that are meant
 * themselves. What is only looked at is not locked.
 */
// biome-ignore lint/plugin/sql: makes constants of this file
const lock = (skus: string, meant: string) => `with near as materialized (
    select w.sku, l.location_id, l.seen from (${skus}) as w(sku) cross join lateral (
      select location_id, on_hand - reserved as seen from stock_level where stock_level.sku = w.sku
      order by on_hand - reserved desc, location_id limit $2
    ) l
  ), meant as materialized (
    select sku, location_id, max(seen) as seen
    from (select * from near union all ${meant}) m group by sku, location_id order by sku, location_id
  )
  select l.*, m.seen from meant m cross join lateral (
    select ${levelColumns} from stock_level
    where stock_level.sku = m.sku and stock_level.location_id = m.location_id for update
  ) l`;
const given = "select sku, location_id, null::bigint from unnest($3::text[], $4::text[]) as g(sku, location_id)";

/** $1: SKUs, $2: how many levels of each; $3, $4: SKUs and locations of levels that are meant. */
export const lockLevels: SqlText = {
  name: "stock_lock_levels",
  text: lock("select unnest($1::text[])", given),
};

/** The same for what reservations are about. $5: orders of which all parts are meant; $6: those of which only expired ones are. */
export const lockLevelsOfOrders: SqlText = {
  name: "stock_lock_levels_of_orders",
  text: lock(
    `select unnest($1::text[])
      union select sku from allocation where order_id = any($6::uuid[]) and status = 'expired'`,
    `${given}
      union all select sku, location_id, null from allocation where order_id = any($5::uuid[])
      union all select sku, location_id, null from allocation where order_id = any($6::uuid[]) and status = 'expired'`,
  ),
};

const levelDeltas = arrayColumns<LevelDelta>(
  { sku: "text", locationId: "text", onHandDelta: "bigint", reservedDelta: "bigint" },
  2,
);
const reservationTypes: Written<ChangedReservation> = {
  orderId: "uuid",
  allocations: "jsonb",
  wait: "jsonb",
  expireTime: "timestamptz",
  amendment: "jsonb",
  fence: "int",
  missing: "jsonb",
};
const newReservations = arrayColumns(reservationTypes, levelDeltas.next);
const changedReservations = arrayColumns(reservationTypes, newReservations.next);
const newMovements = arrayColumns<InsertedMovement>(
  {
    sku: "text",
    locationId: "text",
    kind: "text",
    onHandDelta: "bigint",
    reservedDelta: "bigint",
    orderId: "uuid",
    reason: "text",
  },
  changedReservations.next,
);
const newKeys = arrayColumns<IdempotencyRow>(
  { method: "text", requestId: "text", fingerprint: "bytea", response: "bytea" },
  newMovements.next,
);

/** `allocations = c.allocations, expire_time = c.expire_time`: all but what tells which row it is. */
const reservationChanges = changedReservations.names
  .split(", ")
  .filter((name) => name !== "order_id")
  .map((name) => `${name} = c.${name}`)
  .join(", ");

/**
 * Writes everything that a batch of commands changed, with the parameters of {@link writeValues}. A reservation that
 * another process made meanwhile is a unique violation of `reservation_pkey`; a key that was used before, one of
 * `idempotency_key_pkey`.
 */
export const writeStock: SqlText = {
  name: "stock_write",
  text: `with level as (
      update stock_level as l set
        on_hand = l.on_hand + c.on_hand_delta, reserved = l.reserved + c.reserved_delta, update_time = $1
      from unnest(${levelDeltas.arrays}) as c (${levelDeltas.names})
      where l.sku = c.sku and l.location_id = c.location_id
    ), new_reservation as (
      insert into reservation (${newReservations.names}, create_time, update_time)
      select *, $1, $1 from unnest(${newReservations.arrays})
    ), changed_reservation as (
      update reservation as r set ${reservationChanges}, update_time = $1
      from unnest(${changedReservations.arrays}) as c (${changedReservations.names})
      where r.order_id = c.order_id
    ), movement as (
      insert into stock_movement (${newMovements.names}, create_time)
      select *, $1 from unnest(${newMovements.arrays})
    ), audited as (
      ${insertAuditEvents(`$${newKeys.next}`)}
    )
    insert into idempotency_key (${newKeys.names}) select * from unnest(${newKeys.arrays})`,
};

/** What {@link writeStock} writes besides what is in the book. */
export interface BesideBook {
  readonly keys: readonly IdempotencyRow[];
  readonly audit: readonly AuditEntry[];
  /** The turns of orders that wait from now on. */
  readonly placeOf: PlaceOf;
}

/** The parameters of {@link writeStock}. */
export function writeValues({ levels, reservations, movements, now }: StockBook, beside: BesideBook): unknown[] {
  const idOf = rememberedIds();
  const rowsOf = (changes: typeof reservations) =>
    changes.map(({ after }) => toChangedReservation(after, idOf, beside.placeOf));
  // Two processes with the same keys wait for each other: in one order, or they would deadlock.
  const keys = [...beside.keys].sort((one, other) => (one.requestId < other.requestId ? -1 : 1));
  return [
    now,
    ...levelDeltas.values(levels.map(toLevelDelta)),
    ...newReservations.values(rowsOf(reservations.filter(({ before }) => !before))),
    ...changedReservations.values(rowsOf(reservations.filter(({ before }) => before))),
    ...newMovements.values(movements.map((movement) => toInsertedMovement(movement, idOf))),
    ...newKeys.values(keys),
    auditEvents(beside.audit),
  ];
}

/** An order's id stands many times in one statement. */
function rememberedIds(): IdOf {
  const ids = new Map<string, string>();
  return (orderId) => {
    const id = ids.get(orderId) ?? decodeId(orderId);
    ids.set(orderId, id);
    return id;
  };
}

/**
 * The database's time, which decides what is over: of all processes it is the same. Read when the locks are there, since the
 * wait for them may be long.
 */
export const readClock: SqlText = {
  name: "stock_clock",
  text: "select clock_timestamp()::timestamptz(3) as now",
};

/** Orders whose hold is over. $1: at most so many. */
export const findExpired: SqlText = {
  name: "stock_find_expired",
  text: `select ${ownerColumns} from reservation where expire_time <= now() order by expire_time limit $1`,
};

/** Levels of which no more than $1 is available, counted up to $2. */
export const countLow: SqlText = {
  name: "stock_count_low",
  text: `select count(*) as levels from (select from stock_level
    where available_digits <= length($1::bigint::text) and on_hand - reserved <= $1::bigint limit $2) as low`,
};

/** A fence that comes with a repetition. */
export interface RepeatedFence {
  readonly orderId: string;
  readonly fence: number;
}

const repeatedFences = arrayColumns<RepeatedFence>({ orderId: "uuid", fence: "int" }, 1);

/** The fence of a reservation about which a later episode has asked. */
export type HigherFence = Pick<ReservationRow, "orderId" | "fence">;

/** Remembers the fences of repetitions, which change nothing else, and returns those of reservations that are higher already. */
export const raiseFences: SqlText = {
  name: "stock_raise_fences",
  text: `with asked as materialized (
      select * from unnest(${repeatedFences.arrays}) as i (${repeatedFences.names}) order by order_id
    ), behind as materialized (
      select asked.* from asked cross join lateral (
        select from reservation
        where reservation.order_id = asked.order_id and reservation.fence < asked.fence for update
      ) r
    ), raised as (
      update reservation r set fence = behind.fence from behind
      where r.order_id = any($1::uuid[]) and r.order_id = behind.order_id and r.fence < behind.fence
    )
    select ${selectList<HigherFence>({ orderId: true, fence: true }, "r")} from asked cross join lateral (
      select order_id, fence from reservation where reservation.order_id = asked.order_id limit 1
    ) r where r.fence > asked.fence`,
};

/** The parameters of {@link raiseFences}. */
export function raiseValues(fences: readonly RepeatedFence[]): unknown[] {
  return repeatedFences.values(fences.map((each) => ({ ...each, orderId: decodeId(each.orderId) })));
}
