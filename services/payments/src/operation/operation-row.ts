import { encodeId } from "#platform/id.ts";
import type { Decision, Effect, Payment } from "../payment/payment.ts";
import type { Operation, OperationState } from "./operation.ts";

/** The columns of {@link PaymentRow}, of a table `payment p`. */
export const paymentColumns = `p.payment_id, p.order_id, p.customer_id, p.card_token, p.currency, p.amount, p.decision,
  p.captured, p.voided, p.refunded, p.capturing, p.voiding, p.refunding, p.closing, p.decline_code,
  p.gateway_reference, p.create_time, p.update_time`;

/** One payment as a raw statement returns it. */
export interface PaymentRow {
  payment_id: string;
  order_id: string | null;
  customer_id: string | null;
  card_token: string;
  currency: string;
  amount: bigint;
  decision: Decision;
  captured: bigint;
  voided: bigint;
  refunded: bigint;
  capturing: bigint;
  voiding: bigint;
  refunding: bigint;
  closing: boolean;
  decline_code: string;
  gateway_reference: string;
  create_time: Date;
  update_time: Date;
}

/** The domain's view of a row. */
export function toPayment(row: PaymentRow): Payment {
  return {
    paymentId: encodeId(row.payment_id),
    orderId: row.order_id === null ? "" : encodeId(row.order_id),
    customerId: row.customer_id === null ? "" : encodeId(row.customer_id),
    cardToken: row.card_token,
    currency: row.currency,
    amount: row.amount,
    decision: row.decision,
    captured: row.captured,
    voided: row.voided,
    refunded: row.refunded,
    capturing: row.capturing,
    voiding: row.voiding,
    refunding: row.refunding,
    closing: row.closing,
    declineCode: row.decline_code,
    gatewayReference: row.gateway_reference,
    createTime: row.create_time,
    updateTime: row.update_time,
  };
}

/** The columns of {@link OperationRow}, of a table `payment_operation o`; none is called like one of a payment's. */
export const operationColumns = `o.operation_id, o.payment_id as of_payment_id, o.kind, o.amount as operation_amount,
  o.state, o.refusal_code, o.overtaken, o.attempts, o.captured_after, o.voided_after, o.refunded_after, o.decide_time,
  o.actor, o.request_id, o.traceparent, o.create_time as begin_time`;

/** One operation as a raw statement returns it. */
export interface OperationRow {
  operation_id: string;
  of_payment_id: string;
  kind: Effect;
  operation_amount: bigint | null;
  state: OperationState;
  refusal_code: string;
  overtaken: boolean;
  attempts: number;
  captured_after: bigint | null;
  voided_after: bigint | null;
  refunded_after: bigint | null;
  decide_time: Date | null;
  actor: string;
  request_id: string;
  traceparent: string;
  begin_time: Date;
}

/** The domain's view of a row. */
export function toOperation(row: OperationRow): Operation {
  const { captured_after: captured, voided_after: voided, refunded_after: refunded, decide_time: decideTime } = row;
  return {
    operationId: encodeId(row.operation_id),
    paymentId: encodeId(row.of_payment_id),
    kind: row.kind,
    amount: row.operation_amount ?? undefined,
    state: row.state,
    refusalCode: row.refusal_code,
    overtaken: row.overtaken,
    attempts: row.attempts,
    after: decideTime
      ? { captured: captured ?? 0n, voided: voided ?? 0n, refunded: refunded ?? 0n, decideTime }
      : undefined,
    source: { actor: row.actor, requestId: row.request_id, traceparent: row.traceparent },
    createTime: row.begin_time,
  };
}
