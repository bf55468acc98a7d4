import {
  PaymentDisputeEventSchema,
  PaymentEventSchema,
  RefundRequestEventSchema,
} from "#gen/shop/events/v1/payment_event_pb.js";
import { moneyIn, timeIn } from "#platform/events/details.ts";
import { type EventTypes, internal, told } from "#platform/events/event-types.ts";

/** The gateway has done something, or refused to. */
const decided = told(PaymentEventSchema, ({ subject, orderId, details }) => ({
  paymentId: subject,
  orderId,
  operationId: details.operation_id ?? "",
  amount: moneyIn(details, "amount"),
  refundedAmount: moneyIn(details, "refunded")?.amount ?? 0n,
  declineCode: details.decline_code ?? "",
  sourcePaymentId: details.source_payment_id ?? "",
}));

const dispute = told(PaymentDisputeEventSchema, ({ subject, orderId, details }) => ({
  paymentId: subject,
  orderId,
  disputeId: details.dispute_id ?? "",
  state: details.state ?? "",
  reason: details.reason ?? "",
  amount: moneyIn(details, "amount"),
  respondByTime: timeIn(details, "respond_by_time"),
}));

const refundRequest = told(RefundRequestEventSchema, ({ subject, orderId, details }) => ({
  refundRequestId: details.refund_request_id ?? "",
  paymentId: subject,
  orderId,
  amount: moneyIn(details, "amount"),
}));

/** What becomes of each action in the audit log of payments. */
export const paymentsEvents = {
  "payment.authorized": decided,
  "payment.declined": decided,
  "payment.captured": decided,
  "payment.capture_refused": decided,
  "payment.voided": decided,
  "payment.void_refused": decided,
  "payment.refunded": decided,
  "payment.refund_refused": decided,
  "payment.credited": decided,
  "payment.credit_refused": decided,
  "payment.credit_returned": decided,
  "payment.credit_return_refused": decided,
  "payment.imported": decided,
  "payment.refund_failed": decided,
  "payment.hold_ended": decided,
  "payment.disputed": dispute,
  "refund.requested": refundRequest,
  "refund.approved": refundRequest,
  "refund.rejected": refundRequest,
  "refund.expired": refundRequest,
  "audit.read": internal("Somebody read the audit log."),
} as const satisfies EventTypes;
