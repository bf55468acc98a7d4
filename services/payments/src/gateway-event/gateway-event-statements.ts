import type { SqlText } from "#platform/database/sql-text.ts";

/** Where events were read to. */
export const findPosition: SqlText = {
  name: "find_event_position",
  text: "select position from gateway_event_position",
};

/** The same; nobody else takes events meanwhile. */
export const lockPosition: SqlText = {
  name: "lock_event_position",
  text: "select position from gateway_event_position for no key update",
};

/** Notes where events were read to. */
export const setPosition: SqlText = {
  name: "set_event_position",
  text: "update gateway_event_position set position = $1",
};

/** Writes down events, and returns the ids of those that were new. */
export const insertEvents: SqlText = {
  name: "insert_gateway_events",
  text: `insert into gateway_event (event_id, kind, payment_id)
    select * from unnest($1::text[], $2::text[], $3::uuid[]) on conflict (event_id) do nothing
    returning event_id as "eventId"`,
};

/** How many events of each kind there were in the last hour. */
export const countRecentEvents: SqlText = {
  name: "count_recent_gateway_events",
  text: `select kind, count(*) as count from gateway_event
    where create_time > now() - interval '1 hour' group by kind`,
};

/** Writes down how disputes stand; `$1` payments, `$2` disputes, `$3` states, `$4` reasons, `$5` currencies, `$6` amounts, `$7` until when. Each once. */
export const upsertDisputes: SqlText = {
  name: "upsert_disputes",
  text: `insert into payment_dispute (payment_id, dispute_id, state, reason, currency, amount, respond_by_time)
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[])
    on conflict (payment_id, dispute_id) do update set state = excluded.state, reason = excluded.reason, currency = excluded.currency,
      amount = excluded.amount, respond_by_time = excluded.respond_by_time, update_time = now()`,
};

/** How many disputes are open, and how many of them have to be answered within `$1` milliseconds and still can be. */
export const countDisputes: SqlText = {
  name: "count_disputes",
  text: `select count(*) as open, count(*) filter (
      where respond_by_time > now() and respond_by_time < now() + $1 * interval '1 millisecond') as due
    from payment_dispute where state = 'open'`,
};
