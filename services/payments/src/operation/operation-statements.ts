import { insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import {
  insertedPayment,
  lockedPaymentColumns,
  type PaymentRow,
  paymentColumns,
  updatedPayment,
} from "../payment/payment-row.ts";
import {
  insertedAuthorization,
  insertedChange,
  insertedEntry,
  type OperationRow,
  operationColumns,
  updatedOperation,
} from "./operation-row.ts";

/** Claims request ids: the arrays of `idempotencyColumns`. */
export const claimRequests: SqlText = {
  name: "claim_requests",
  text: `insert into idempotency_key (method, request_id, fingerprint, response)
    select * from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[])`,
};

// biome-ignore lint/plugin/sql: makes constants of this file
const unclaim = (methods: string, ids: string) => `delete from idempotency_key k
  using unnest(${methods}::text[], ${ids}::text[]) as u(method, request_id)
  where k.method = u.method and k.request_id = u.request_id`;

/** Gives request ids of this transaction free again: what was refused may be asked for again. */
export const unclaimRequests: SqlText = {
  name: "unclaim_requests",
  text: unclaim("$1", "$2"),
};

/** A payment that was new, or why it was not made. */
export interface AddedPayment extends Pick<PaymentRow, "paymentId"> {
  readonly createTime: Date | null;
  /** Of a payment of the same order, and higher than the one that it would have. */
  readonly higherFence: number | null;
}

/**
 * `$1` rows as JSON, `$2` the lease in milliseconds. Returns those that were new, and those that a later episode of the order forbids. What they
 * are credits of is locked, and credited with them.
 */
export const insertPayments: SqlText = {
  name: "insert_payments",
  text: `with given as materialized (
      select given.*, (
          select max(fence) from payment
          where payment.order_id = given.order_id and payment.fence > given.fence and given.fence > 0
        ) as higher_fence
      from json_to_recordset($1::json) as given(${insertedPayment.typed}, ${insertedAuthorization.typed}, source_fence int)),
    added as (
      insert into payment (${insertedPayment.names}, decision)
      select ${insertedPayment.names}, 'undecided' from given where higher_fence is null order by payment_id
      on conflict (payment_id) do nothing
      returning payment_id, create_time),
    drawn as (
      update payment s set credited = s.credited + credit.amount, fence = greatest(s.fence, credit.fence),
        update_time = greatest(now(), s.update_time)
      from (select source_id, sum(amount)::bigint as amount, max(source_fence) as fence from given join added using (payment_id)
        where source_id is not null group by source_id) credit
      where s.payment_id = credit.source_id),
    begun as (
      insert into payment_operation (payment_id, kind, amount, state, ${insertedAuthorization.names},
        next_attempt_time)
      select payment_id, 'authorize', amount, 'pending', ${insertedAuthorization.names},
        now() + $2 * interval '1 millisecond'
      from given join added using (payment_id))
    select ${selectList<AddedPayment>({ paymentId: true, createTime: true, higherFence: "null::int" })} from added
    union all
    select ${selectList<AddedPayment>({ paymentId: true, createTime: "null", higherFence: true })} from given
    where higher_fence is not null`,
};

/** Leaves a mark for payments that do not exist, so that a late authorization is refused. */
export const forestallPayments: SqlText = {
  name: "forestall_payments",
  text: `insert into payment (payment_id, card_token, currency, amount, decision)
    select id, '', 'XXX', 0, 'forestalled' from unnest($1::uuid[]) as id order by id
    on conflict (payment_id) do nothing`,
};

/** A payment that is locked, and the time of everything that the transaction does. */
export type LockedPayment = PaymentRow & { readonly now: Date };

/** Locks payments. */
export const lockPayments: SqlText = {
  name: "lock_payments",
  text: `select ${lockedPaymentColumns}, now()::timestamptz(3) as now from payment p
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
// biome-ignore lint/plugin/sql: makes constants of this file
const updatePayments = (ids: string) => `update payment p set ${updatedPayment.assigned("g")}
  from json_to_recordset($1::json) as g(payment_id uuid, ${updatedPayment.typed})
  where p.payment_id = any(${ids}::uuid[]) and p.payment_id = g.payment_id`;

/** `$1` payments, `$2` new operations as JSON, `$3` lease, `$4` and `$5` the keys of what is refused, `$6` payment ids. */
export const beginChanges: SqlText = {
  name: "begin_changes",
  text: `with set_aside as (${updatePayments("$6")}),
    unclaimed as (${unclaim("$4", "$5")})
    insert into payment_operation (${insertedChange.names}, next_attempt_time)
    select ${insertedChange.names}, now() + $3 * interval '1 millisecond'
    from json_to_recordset($2::json) as g(${insertedChange.typed})`,
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
      update payment_operation o set ${updatedOperation.assigned("g")},
        next_attempt_time = now() + $3 * interval '1 millisecond'
      from json_to_recordset($2::json) as g(operation_id uuid, ${updatedOperation.typed})
      where o.operation_id = any($6::uuid[]) and o.operation_id = g.operation_id),
    audited as (${insertAuditEvents("$7")})
    insert into ledger_entry (${insertedEntry.names})
    select ${insertedEntry.names} from json_to_recordset($4::json) as e(${insertedEntry.typed})`,
};

/** Which payments operations are of, and where they stand. */
export type FoundOperation = Pick<OperationRow, "operationId" | "state"> & Pick<PaymentRow, "paymentId">;

/** Operations by id, to be found before their payments are locked. */
export const findOperations: SqlText = {
  name: "find_operations",
  text: `select ${selectList<FoundOperation>({ operationId: true, state: true, paymentId: true })} from payment_operation
    where operation_id = any($1::uuid[])`,
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

/** How many operations are undecided, and for how many seconds the oldest is; null when there is none. */
export const backlog: SqlText = {
  name: "backlog",
  text: `select count(*) as undecided, extract(epoch from clock_timestamp() - min(create_time))::float8 as age
    from payment_operation where state = 'pending'`,
};

/** A payment about which, or about another one of whose order, a later episode has asked. */
export type HigherFence = Pick<PaymentRow, "paymentId" | "fence">;

/** Remembers the fences of repetitions, which change nothing else, and returns those that are higher already. `$1` payments, `$2` fences. */
export const raiseFences: SqlText = {
  name: "raise_fences",
  text: `with asked as materialized (
      select * from unnest($1::uuid[], $2::int[]) as i(payment_id, fence) order by payment_id
    ), behind as materialized (
      select asked.* from asked cross join lateral (
        select from payment
        where payment.payment_id = asked.payment_id and payment.fence < asked.fence for no key update
      ) p
    ), raised as (
      update payment p set fence = behind.fence from behind
      where p.payment_id = any($1::uuid[]) and p.payment_id = behind.payment_id and p.fence < behind.fence
    )
    select ${selectList<HigherFence>({ paymentId: true, fence: "higher" }, "p")} from asked cross join lateral (
      select payment_id, greatest(p.fence, (select max(fence) from payment where payment.order_id = p.order_id)) as higher
      from payment p where p.payment_id = asked.payment_id limit 1
    ) p where higher > asked.fence`,
};
