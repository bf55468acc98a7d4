import { insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { type PaymentRow, paymentColumns } from "../payment/payment-row.ts";
import type { Unapproved } from "./refund-judge.ts";
import type { RefundRequestState } from "./refund-request.ts";
import { insertedRequest, type RefundRequestRow, refundRequestColumns } from "./refund-request-row.ts";

/** What of a payment went, or waits, without a second person. */
export type UnapprovedRow = Unapproved & { readonly paymentId: string };

/** Of these payments, which are locked: refunds that one person wanted, and what waits for a second one. */
export const findUnapproved: SqlText = {
  name: "find_unapproved",
  text: `select ${selectList<UnapprovedRow>({
    paymentId: "i.id",
    alone: `(select coalesce(sum(o.amount), 0)::bigint from payment_operation o
      where o.payment_id = i.id and o.alone and o.state <> 'refused')`,
    waiting: `(select coalesce(sum(r.amount), 0)::bigint from refund_request r
      where r.payment_id = i.id and r.state = 'waiting' and r.expire_time > now())`,
  })} from unnest($1::uuid[]) as i(id)`,
};

/** `$1` refund requests as JSON, `$2` audit events. */
export const insertRefundRequests: SqlText = {
  name: "insert_refund_requests",
  text: `with audited as (${insertAuditEvents("$2")})
    insert into refund_request (${insertedRequest.names})
    select ${insertedRequest.names} from json_to_recordset($1::json) as g(${insertedRequest.typed})`,
};

/** A refund request with its payment, and the time. */
export type RestingRow = PaymentRow & RefundRequestRow & { readonly now: Date };

/** Refund requests by id, with their payments. */
export const findRefundRequests: SqlText = {
  name: "find_refund_requests",
  text: `select ${paymentColumns}, ${refundRequestColumns}, now()::timestamptz(3) as now
    from refund_request r join payment p using (payment_id) where r.refund_request_id = any($1::uuid[])`,
};

/** Locks the payment of a refund request: whoever decides about money does so first. */
export const lockPaymentOfRequest: SqlText = {
  name: "lock_payment_of_request",
  text: `select p.payment_id from payment p
    where p.payment_id = (select payment_id from refund_request where refund_request_id = $1) for no key update`,
};

/** A refund request as it is once its payment is locked; kept from the sweep that has requests expire, which locks no payment. */
export const lockRefundRequest: SqlText = {
  name: "lock_refund_request",
  text: `select ${paymentColumns}, ${refundRequestColumns}, now()::timestamptz(3) as now
    from refund_request r join payment p using (payment_id) where r.refund_request_id = $1 for no key update of r`,
};

/** `$1` the request, `$2` its state, `$3` who decided, `$4` why, `$5` when, `$6` audit events. */
export const decideRefundRequest: SqlText = {
  name: "decide_refund_request",
  text: `with decided as (
      update refund_request set state = $2, decider = $3, decision_reason = $4, decide_time = $5
      where refund_request_id = $1)
    ${insertAuditEvents("$6")}`,
};

/** What nobody decided in time, at most `$1`; locked, and what another replica has is left out. */
export const lockExpiredRequests: SqlText = {
  name: "lock_expired_requests",
  text: `select ${paymentColumns}, ${refundRequestColumns}, now()::timestamptz(3) as now
    from refund_request r join payment p using (payment_id)
    where r.state = 'waiting' and r.expire_time <= now()
    order by r.expire_time limit $1 for no key update of r skip locked`,
};

/** `$1` requests that expire now, `$2` audit events. */
export const expireRequests: SqlText = {
  name: "expire_requests",
  text: `with expired as (
      update refund_request set state = 'expired', decide_time = now() where refund_request_id = any($1::uuid[]))
    ${insertAuditEvents("$2")}`,
};

/** How many wait, and for how many seconds the oldest has; null when there is none. */
export const waitingRequests: SqlText = {
  name: "waiting_refund_requests",
  text: `select count(*) as waiting, extract(epoch from clock_timestamp() - min(create_time))::float8 as age
    from refund_request where state = 'waiting'`,
};

/** Which refund requests; what is not given does not matter. Ids are uuids. */
export interface RefundRequestFilter {
  readonly paymentId?: string | undefined;
  readonly state?: RefundRequestState | undefined;
  /** The last request of the page before. */
  readonly after?: { readonly createTime: Date; readonly refundRequestId: string } | undefined;
}

/**
 * The newest refund requests of a filter, `limit` at most, and the parameters. Each kind of filter is a statement of its own, so that each
 * goes by its index.
 */
export function listRefundRequests(filter: RefundRequestFilter, limit: number): [sql: SqlText, values: unknown[]] {
  const { paymentId, state, after } = filter;
  const values: unknown[] = [limit];
  const conditions: string[] = [];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  if (paymentId !== undefined) conditions.push(`r.payment_id = ${parameter(paymentId)}`);
  if (state !== undefined) conditions.push(`r.state = ${parameter(state)}`);
  if (after) {
    const place = `${parameter(after.createTime)}, ${parameter(after.refundRequestId)}`;
    conditions.push(`(r.create_time, r.refund_request_id) < (${place})`);
  }
  const where = conditions.length > 0 ? `where ${conditions.join(" and ")}` : "";
  const kind = Object.entries({ payment: paymentId, state, after }).flatMap(([name, value]) =>
    value ? `_${name}` : [],
  );
  // biome-ignore lint/plugin/sql: conditions of this file, which name parameters
  const text = `select ${refundRequestColumns} from refund_request r ${where}
    order by r.create_time desc, r.refund_request_id desc limit $1`;
  return [{ name: `list_refund_requests${kind.join("")}`, text }, values];
}
