import { insertAuditEvents } from "#platform/audit/audit-entry.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { operationColumns, paymentColumns } from "./operation-row.ts";

/** Claims request ids: `$1` method, then the arrays of `idempotencyColumns`. */
export const claimRequests: SqlText = {
  name: "claim_requests",
  text: `insert into idempotency_key (method, request_id, fingerprint, response)
    select $1::text, * from unnest($2::text[], $3::bytea[], $4::bytea[])`,
};

/** Gives request ids of this transaction free again: what was refused may be asked for again. */
export const unclaimRequests: SqlText = {
  name: "unclaim_requests",
  text: "delete from idempotency_key where method = $1 and request_id = any($2::text[])",
};

/** `$1` rows as JSON, `$2` the lease in milliseconds. Returns those that were new. */
export const insertPayments: SqlText = {
  name: "insert_payments",
  text: `with given as materialized (
      select * from json_to_recordset($1::json) as given(payment_id uuid, order_id uuid, customer_id uuid,
        card_token text, currency text, amount bigint, operation_id uuid, actor text, request_id text,
        traceparent text)),
    added as (
      insert into payment (payment_id, order_id, customer_id, card_token, currency, amount, decision)
      select payment_id, order_id, customer_id, card_token, currency, amount, 'undecided' from given order by payment_id
      on conflict (payment_id) do nothing
      returning payment_id, create_time),
    begun as (
      insert into payment_operation (operation_id, payment_id, kind, amount, state, actor, request_id, traceparent,
        next_attempt_time)
      select operation_id, payment_id, 'authorize', amount, 'pending', actor, request_id, traceparent,
        now() + $2 * interval '1 millisecond'
      from given join added using (payment_id))
    select payment_id, create_time from added`,
};

/** Leaves a mark for payments that do not exist, so that a late authorization is refused. */
export const forestallPayments: SqlText = {
  name: "forestall_payments",
  text: `insert into payment (payment_id, card_token, currency, amount, decision)
    select id, '', 'XXX', 0, 'forestalled' from unnest($1::uuid[]) as id order by id
    on conflict (payment_id) do nothing`,
};

/** `now` is the time of everything that the transaction does. */
export const lockPayments: SqlText = {
  name: "lock_payments",
  text: `select ${paymentColumns}, now()::timestamptz(3) as now from payment p
    where p.payment_id = any($1::uuid[]) order by p.payment_id for no key update`,
};

/** What exists of these payments, to say why an authorization was not begun. */
export const findPayments: SqlText = {
  name: "find_payments",
  text: `select ${paymentColumns} from payment p where p.payment_id = any($1::uuid[])`,
};

/**
 * The ids come a second time, as an array: then the plan looks them up in the index however many rows the planner
 * expects from JSON.
 */
const updatePayments = (
  ids: string,
) => `update payment p set decision = g.decision, captured = g.captured, voided = g.voided,
    refunded = g.refunded, capturing = g.capturing, voiding = g.voiding, refunding = g.refunding, closing = g.closing,
    decline_code = g.decline_code, gateway_reference = g.gateway_reference, update_time = g.update_time
  from json_to_recordset($1::json) as g(payment_id uuid, decision text, captured bigint, voided bigint, refunded bigint,
    capturing bigint, voiding bigint, refunding bigint, closing boolean, decline_code text, gateway_reference text,
    update_time timestamptz)
  where p.payment_id = any(${ids}::uuid[]) and p.payment_id = g.payment_id`;

const operationShape = `g(operation_id uuid, payment_id uuid, kind text, amount bigint, state text, refusal_code text,
    overtaken boolean, reason text, captured_after bigint, voided_after bigint, refunded_after bigint,
    decide_time timestamptz, actor text, request_id text, traceparent text)`;

/** `$1` payments, `$2` new operations as JSON, `$3` lease, `$4` method and `$5` refused request ids, `$6` payment ids. */
export const beginChanges: SqlText = {
  name: "begin_changes",
  text: `with set_aside as (${updatePayments("$6")}),
    unclaimed as (delete from idempotency_key where method = $4 and request_id = any($5::text[]))
    insert into payment_operation (operation_id, payment_id, kind, amount, state, reason, captured_after, voided_after,
      refunded_after, decide_time, actor, request_id, traceparent, next_attempt_time)
    select operation_id, payment_id, kind, amount, state, reason, captured_after, voided_after, refunded_after,
      decide_time, actor, request_id, traceparent, now() + $3 * interval '1 millisecond'
    from json_to_recordset($2::json) as ${operationShape}`,
};

/** Operations by id, and all that wait on these payments; the oldest first. Read after the payments are locked. */
export const findForRecording: SqlText = {
  name: "find_for_recording",
  text: `select ${operationColumns} from payment_operation o
      where o.operation_id = any($1::uuid[]) and o.state <> 'waiting'
    union all (select ${operationColumns} from payment_operation o
      where o.payment_id = any($2::uuid[]) and o.state = 'waiting' order by o.create_time, o.operation_id)`,
};

/**
 * `$1` payments, `$2` operations, `$3` lease of what is sent next, `$4` ledger, `$5` payment and `$6` operation ids, `$7`
 * audit events.
 */
export const recordDecisions: SqlText = {
  name: "record_decisions",
  text: `with settled as (${updatePayments("$5")}),
    decided as (
      update payment_operation o set state = g.state, amount = g.amount, refusal_code = g.refusal_code,
        overtaken = g.overtaken, captured_after = g.captured_after, voided_after = g.voided_after,
        refunded_after = g.refunded_after, decide_time = g.decide_time,
        next_attempt_time = now() + $3 * interval '1 millisecond'
      from json_to_recordset($2::json) as ${operationShape}
      where o.operation_id = any($6::uuid[]) and o.operation_id = g.operation_id),
    audited as (${insertAuditEvents("$7")})
    insert into ledger_entry (payment_id, operation_id, kind, debit_account, credit_account, currency, amount)
    select payment_id, operation_id, kind, debit, credit, currency, amount
    from json_to_recordset($4::json) as e(payment_id uuid, operation_id uuid, kind text, debit text, credit text,
      currency text, amount bigint)`,
};

/** Operations with their payments, as one moment saw them. */
export const findTickets: SqlText = {
  name: "find_tickets",
  text: `select ${paymentColumns}, ${operationColumns} from payment_operation o join payment p using (payment_id)
    where o.operation_id = any($1::uuid[])`,
};

/** Leases what is due: `$1` at most so many, `$2` for so many milliseconds. Replicas skip what another one has. */
export const claimDue: SqlText = {
  name: "claim_due",
  text: `with due as (
      select operation_id from payment_operation where state = 'pending' and next_attempt_time <= now()
      order by next_attempt_time limit $1 for no key update skip locked),
    leased as (
      update payment_operation o
      set next_attempt_time = now() + $2 * interval '1 millisecond', attempts = o.attempts + 1
      from due where o.operation_id = due.operation_id
      returning o.*)
    select ${paymentColumns}, ${operationColumns} from leased o join payment p using (payment_id)`,
};

/** Ends the lease of operations that stay undecided: `$1` ids, `$2` pauses until the next attempt in milliseconds. */
export const postpone: SqlText = {
  name: "postpone",
  text: `update payment_operation o set next_attempt_time = now() + g.pause * interval '1 millisecond'
    from unnest($1::uuid[], $2::bigint[]) as g(operation_id, pause)
    where o.operation_id = g.operation_id and o.state = 'pending'`,
};

/** How many operations are undecided, and since when the oldest is. */
export const backlog: SqlText = {
  name: "backlog",
  text: `select count(*) as undecided, min(create_time) as oldest from payment_operation where state = 'pending'`,
};
