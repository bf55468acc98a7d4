import { insertAuditEvents } from "#platform/audit/audit-entry.ts";
import type { SqlText } from "#platform/database/sql-text.ts";

/** Locks reservations, always in the order of their ids and before any level. $1: order ids. */
export const lockReservations: SqlText = {
  name: "stock_lock_reservations",
  text: `select order_id, allocations, expire_time, create_time from reservation
    where order_id = any($1::uuid[]) order by order_id for update`,
};

/** Which of these orders have a reservation. $1: order ids. */
export const findReservations: SqlText = {
  name: "stock_find_reservations",
  text: "select order_id from reservation where order_id = any($1::uuid[])",
};

/** Makes levels known that an adjustment is about, so that they can be locked. $1: SKUs, $2: locations. */
export const ensureLevels: SqlText = {
  name: "stock_ensure_levels",
  text: `insert into stock_level (sku, location_id)
    select sku, location_id from unnest($1::text[], $2::text[]) as wanted (sku, location_id)
    order by sku, location_id on conflict do nothing`,
};

/** Locks levels, always in the order of SKU and location. $1: SKUs. */
export const lockLevels: SqlText = {
  name: "stock_lock_levels",
  text: `select sku, location_id, on_hand, reserved, update_time from stock_level
    where sku = any($1::text[]) order by sku, location_id for update`,
};

/**
 * The same for what reservations are about. $1: SKUs; $2: orders of whose parts all SKUs are meant; $3: orders of which
 * only those that expired are meant.
 */
export const lockLevelsOfOrders: SqlText = {
  name: "stock_lock_levels_of_orders",
  text: `select sku, location_id, on_hand, reserved, update_time from stock_level
    where sku = any(array(
      select unnest($1::text[])
      union select sku from allocation where order_id = any($2::uuid[])
      union select sku from allocation where order_id = any($3::uuid[]) and status = 'expired'))
    order by sku, location_id for update`,
};

/**
 * Writes everything that a list of commands changed. A reservation that another process made meanwhile is a unique
 * violation of `reservation_pkey`; a key that was used before, one of `idempotency_key_pkey`.
 */
export const writeStock: SqlText = {
  name: "stock_write",
  text: `with level as (
      update stock_level as l set
        on_hand = l.on_hand + c.on_hand_delta, reserved = l.reserved + c.reserved_delta, update_time = $1
      from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) as c (sku, location_id, on_hand_delta, reserved_delta)
      where l.sku = c.sku and l.location_id = c.location_id
    ), new_reservation as (
      insert into reservation (order_id, allocations, expire_time, create_time, update_time)
      select *, $1, $1 from unnest($6::uuid[], $7::jsonb[], $8::timestamptz[])
    ), changed_reservation as (
      update reservation as r set allocations = c.allocations, expire_time = c.expire_time, update_time = $1
      from unnest($9::uuid[], $10::jsonb[], $11::timestamptz[]) as c (order_id, allocations, expire_time)
      where r.order_id = c.order_id
    ), movement as (
      insert into stock_movement (sku, location_id, kind, on_hand_delta, reserved_delta, order_id, reason, create_time)
      select *, $1 from unnest($12::text[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::uuid[], $18::text[])
    ), audited as (
      ${insertAuditEvents("$23")}
    )
    insert into idempotency_key (method, request_id, fingerprint, response)
    select * from unnest($19::text[], $20::text[], $21::bytea[], $22::bytea[])`,
};

/** Orders whose hold is over. $1: now, $2: at most so many. */
export const findExpired: SqlText = {
  name: "stock_find_expired",
  text: "select order_id from reservation where expire_time <= $1 order by expire_time limit $2",
};

/** Levels of which no more than $1 is available, counted up to $2. */
export const countLow: SqlText = {
  name: "stock_count_low",
  text: `select count(*) as levels from (select from stock_level
    where available_digits <= length($1::bigint::text) and on_hand - reserved <= $1::bigint limit $2) as low`,
};
