import { type AsText, type ColumnsOf, selectList, writtenColumns } from "#platform/database/columns.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { Source } from "../payment/source.ts";
import type { RefundRequest, RefundRequestState } from "./refund-request.ts";

/** One refund request as statements return it, beside a payment: its ids are uuids, and no column is called like one of a payment. */
export interface RefundRequestRow {
  readonly refundRequestId: string;
  readonly ofPaymentId: string;
  readonly requestCurrency: string;
  readonly requestAmount: bigint;
  readonly reason: string;
  readonly state: RefundRequestState;
  readonly requester: string;
  readonly decider: string;
  readonly decisionReason: string;
  readonly actor: string;
  readonly requestId: string;
  readonly traceparent: string;
  readonly beginTime: Date;
  readonly expireTime: Date;
  readonly decideTime: Date | null;
}

/** The columns of {@link RefundRequestRow}, of a table `refund_request r`. */
export const refundRequestColumns = selectList<RefundRequestRow>(
  {
    refundRequestId: true,
    ofPaymentId: "r.payment_id",
    requestCurrency: "r.currency",
    requestAmount: "r.amount",
    reason: true,
    state: true,
    requester: true,
    decider: true,
    decisionReason: true,
    actor: true,
    requestId: true,
    traceparent: true,
    beginTime: "r.create_time",
    expireTime: true,
    decideTime: true,
  },
  "r",
);

/** The domain's view of a row. */
export function toRefundRequest(row: RefundRequestRow): RefundRequest {
  const { reason, state, requester, decider, decisionReason, expireTime } = row;
  return {
    refundRequestId: encodeId(row.refundRequestId),
    paymentId: encodeId(row.ofPaymentId),
    currency: row.requestCurrency,
    amount: row.requestAmount,
    reason,
    state,
    requester,
    decider,
    decisionReason,
    source: { actor: row.actor, requestId: row.requestId, traceparent: row.traceparent },
    createTime: row.beginTime,
    expireTime,
    decideTime: row.decideTime ?? undefined,
  };
}

/** What a decision says of a refund request. */
type DecidedColumns = Pick<RefundRequest, "state" | "decider" | "decisionReason" | "decideTime">;

/** A refund request as it is inserted: it waits. */
type InsertedRequest = AsText<ColumnsOf<Omit<RefundRequest, keyof DecidedColumns | "source">>> & ColumnsOf<Source>;

/** The columns of {@link InsertedRequest}. */
export const insertedRequest = writtenColumns<InsertedRequest>({
  refund_request_id: "uuid",
  payment_id: "uuid",
  currency: "text",
  amount: "bigint",
  reason: "text",
  requester: "text",
  actor: "text",
  request_id: "text",
  traceparent: "text",
  create_time: "timestamptz",
  expire_time: "timestamptz",
});

/** A row for the statement that has refunds wait. */
export function toInsertedRequest(request: RefundRequest): InsertedRequest {
  const { source } = request;
  return {
    refund_request_id: decodeId(request.refundRequestId),
    payment_id: decodeId(request.paymentId),
    currency: request.currency,
    amount: String(request.amount),
    reason: request.reason,
    requester: request.requester,
    actor: source.actor,
    request_id: source.requestId,
    traceparent: source.traceparent,
    create_time: request.createTime,
    expire_time: request.expireTime,
  };
}
