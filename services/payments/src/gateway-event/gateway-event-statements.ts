import { selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";

/** A refund that has failed and is not decided. */
export interface WaitingEvent {
  readonly refundKey: string;
  readonly eventId: string;
  readonly authorizationKey: string;
  readonly code: string;
}

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

/** Puts aside that refunds have failed, once each; `$1` refunds, `$2` events, `$3` authorizations, `$4` codes. */
export const insertWaiting: SqlText = {
  name: "insert_waiting_gateway_events",
  text: `insert into waiting_gateway_event (refund_key, event_id, authorization_key, code)
    select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[]) on conflict (refund_key) do nothing`,
};

/** Takes up to `$1` whose refunds have been decided since; another replica takes others. */
export const takeWaiting: SqlText = {
  name: "take_waiting_gateway_events",
  text: `with ripe as (
      select w.refund_key from waiting_gateway_event w
      where exists (select from payment_operation o where o.operation_id = w.refund_key and o.state <> 'pending')
      order by w.create_time limit $1 for update of w skip locked)
    delete from waiting_gateway_event w using ripe where w.refund_key = ripe.refund_key
    returning ${selectList<WaitingEvent>({ refundKey: true, eventId: true, authorizationKey: true, code: true }, "w")}`,
};

/** How many events of each kind there were in the last hour. */
export const countRecentEvents: SqlText = {
  name: "count_recent_gateway_events",
  text: `select kind, count(*) as count from gateway_event
    where create_time > now() - interval '1 hour' group by kind`,
};

/** When disputes stood as they are known; `$1` payments, `$2` disputes. */
export const findDisputeTimes: SqlText = {
  name: "find_dispute_times",
  text: `select d.payment_id as "paymentId", d.dispute_id as "disputeId", d.as_of_time as "asOfTime"
    from unnest($1::uuid[], $2::text[]) as g(payment_id, dispute_id) join payment_dispute d using (payment_id, dispute_id)
    where d.as_of_time is not null`,
};

/** Writes down how disputes stand; `$1` payments, `$2` disputes, `$3` states, `$4` reasons, `$5` currencies, `$6` amounts, `$7` until when, `$8` as of when. Each once. */
export const upsertDisputes: SqlText = {
  name: "upsert_disputes",
  text: `insert into payment_dispute (payment_id, dispute_id, state, reason, currency, amount, respond_by_time, as_of_time)
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::timestamptz[])
    on conflict (payment_id, dispute_id) do update set state = excluded.state, reason = excluded.reason, currency = excluded.currency,
      amount = excluded.amount, respond_by_time = excluded.respond_by_time, as_of_time = excluded.as_of_time, update_time = now()`,
};

/** How many disputes are open, and how many of them have to be answered within `$1` milliseconds and still can be. */
export const countDisputes: SqlText = {
  name: "count_disputes",
  text: `select count(*) as open, count(*) filter (
      where respond_by_time > now() and respond_by_time < now() + $1 * interval '1 millisecond') as due
    from payment_dispute where state = 'open'`,
};
