import { Code } from "@connectrpc/connect";
import { PaymentErrorReason, PaymentErrorReasonSchema } from "#gen/shop/payments/v1/payment_error_reason_pb.js";
import { defineErrors } from "#platform/errors.ts";
import { type Fenced, fenceFacts } from "#platform/fence.ts";
import { type Payment, refundableOf, statusOf } from "./payment.ts";

/** Refusals of the payments service; the proto's comments say what each means and which metadata it carries. */
export const PaymentError = defineErrors<PaymentErrorReason>({
  domain: "payments.shop",
  reasons: PaymentErrorReasonSchema,
  codes: {
    [PaymentErrorReason.UNSPECIFIED]: Code.Unknown,
    [PaymentErrorReason.PAYMENT_NOT_FOUND]: Code.NotFound,
    [PaymentErrorReason.PAYMENT_DECLINED]: Code.FailedPrecondition,
    [PaymentErrorReason.PAYMENT_VOIDED]: Code.FailedPrecondition,
    [PaymentErrorReason.NOT_AUTHORIZED]: Code.FailedPrecondition,
    [PaymentErrorReason.AMOUNT_EXCEEDS_AUTHORIZATION]: Code.FailedPrecondition,
    [PaymentErrorReason.AMOUNT_EXCEEDS_CAPTURE]: Code.FailedPrecondition,
    [PaymentErrorReason.CURRENCY_MISMATCH]: Code.InvalidArgument,
    [PaymentErrorReason.PAYMENT_ID_TAKEN]: Code.AlreadyExists,
    [PaymentErrorReason.REFUND_REQUEST_NOT_FOUND]: Code.NotFound,
    [PaymentErrorReason.REFUND_REQUEST_DECIDED]: Code.FailedPrecondition,
    [PaymentErrorReason.OWN_REFUND_REQUEST]: Code.PermissionDenied,
    [PaymentErrorReason.REFUND_NOT_APPROVED]: Code.FailedPrecondition,
    [PaymentErrorReason.PAYMENT_ELSEWHERE]: Code.FailedPrecondition,
    [PaymentErrorReason.CREDIT_REFUSED]: Code.FailedPrecondition,
    [PaymentErrorReason.EPISODE_OVER]: Code.FailedPrecondition,
  },
});

/** One refusal of the payments service. */
export type PaymentError = InstanceType<typeof PaymentError>;

/** VoidPayment came before AuthorizePayment. */
export function voidedBefore(paymentId: string): PaymentError {
  const message = "the payment was voided before it was authorized";
  return new PaymentError(PaymentErrorReason.PAYMENT_VOIDED, message, { payment_id: paymentId });
}

/** A later episode of the order has asked about this payment, or about another one of the order. */
export function episodeOver(paymentId: string, fenced: Fenced, highest: number): PaymentError {
  const message = `episode ${fenced.fence} of the order is over: episode ${highest} has asked since`;
  const metadata = { payment_id: paymentId, ...fenceFacts(fenced, highest) };
  return new PaymentError(PaymentErrorReason.EPISODE_OVER, message, metadata);
}

/** There is no such payment. */
export function notFound(paymentId: string): PaymentError {
  return new PaymentError(PaymentErrorReason.PAYMENT_NOT_FOUND, "there is no such payment", { payment_id: paymentId });
}

/** Another payment has the id. */
export function idTaken(paymentId: string): PaymentError {
  const message = "there is another payment with this id";
  return new PaymentError(PaymentErrorReason.PAYMENT_ID_TAKEN, message, { payment_id: paymentId });
}

/** The gateway refused, now or when the request was first made. */
export function declined(payment: Payment, code: string): PaymentError {
  const metadata = { payment_id: payment.paymentId, decline_code: code };
  return new PaymentError(PaymentErrorReason.PAYMENT_DECLINED, `the gateway refused: ${code}`, metadata);
}

/** Nothing is held that could be captured. */
export function notAuthorized(payment: Payment): PaymentError {
  const metadata = { payment_id: payment.paymentId, status: statusOf(payment).toUpperCase() };
  return new PaymentError(PaymentErrorReason.NOT_AUTHORIZED, "nothing is held", metadata);
}

/** The amount is not in the payment's currency. */
export function mismatch(payment: Payment, currency: string): PaymentError {
  const message = `the payment is in ${payment.currency}, not in ${currency}`;
  const metadata = { payment_id: payment.paymentId, currency: payment.currency };
  return new PaymentError(PaymentErrorReason.CURRENCY_MISMATCH, message, metadata);
}

/** More than what is held, or will be, and not claimed by another call. */
export function exceedsAuthorization(payment: Payment, asked: bigint, available: bigint): PaymentError {
  const metadata = { payment_id: payment.paymentId, available: String(available) };
  const message = `${asked} is more than the ${available} that is held and free`;
  return new PaymentError(PaymentErrorReason.AMOUNT_EXCEEDS_AUTHORIZATION, message, metadata);
}

/** More than what was captured, neither refunded nor credited, and not claimed by another call, or than what of that is `left`. */
export function exceedsCapture(payment: Payment, asked: bigint, left = refundableOf(payment)): PaymentError {
  const available = String(left);
  const metadata = { payment_id: payment.paymentId, available };
  const message = `${asked} is more than the ${available} that was captured and neither refunded nor credited`;
  return new PaymentError(PaymentErrorReason.AMOUNT_EXCEEDS_CAPTURE, message, metadata);
}

/** Another shop took the money: our gateway knows nothing of it. */
export function paidElsewhere({ paymentId, provider, gatewayReference }: Payment): PaymentError {
  const message = `the payment was imported: ${provider} took the money, and has to give it back`;
  const metadata = { payment_id: paymentId, provider, provider_reference: gatewayReference };
  return new PaymentError(PaymentErrorReason.PAYMENT_ELSEWHERE, message, metadata);
}

const creditSentences = {
  SAGA_ONLY: "only what happens to its order makes a credit and gives it back: cancel the order",
  OTHER_CUSTOMER: "what it would be a credit of is another customer's",
} as const;

/** A credit can neither be made nor given back like this. */
export function creditRefused(
  { paymentId, sourceId }: Pick<Payment, "paymentId" | "sourceId">,
  why: keyof typeof creditSentences,
): PaymentError {
  const metadata = { payment_id: paymentId, source_payment_id: sourceId, why };
  return new PaymentError(PaymentErrorReason.CREDIT_REFUSED, creditSentences[why], metadata);
}

/** What errors name of a refund request. */
interface RefundRequestFacts {
  readonly refundRequestId: string;
  readonly paymentId: string;
  readonly state: string;
}

/** There is no such refund request. */
export function refundRequestNotFound(refundRequestId: string): PaymentError {
  const metadata = { refund_request_id: refundRequestId };
  return new PaymentError(PaymentErrorReason.REFUND_REQUEST_NOT_FOUND, "there is no such refund request", metadata);
}

/** Nobody may decide it any more. */
export function refundRequestDecided({ refundRequestId, state }: RefundRequestFacts): PaymentError {
  const metadata = { refund_request_id: refundRequestId, status: state.toUpperCase() };
  return new PaymentError(
    PaymentErrorReason.REFUND_REQUEST_DECIDED,
    `the refund request is ${state} already`,
    metadata,
  );
}

/** Its requester would be the second person. */
export function ownRefundRequest({ refundRequestId }: RefundRequestFacts): PaymentError {
  const message = "whoever asked for a refund cannot be the second person for it";
  const metadata = { refund_request_id: refundRequestId };
  return new PaymentError(PaymentErrorReason.OWN_REFUND_REQUEST, message, metadata);
}

/** What was asked for will not be done. */
export function refundNotApproved({ refundRequestId, paymentId, state }: RefundRequestFacts): PaymentError {
  const metadata = { payment_id: paymentId, refund_request_id: refundRequestId, status: state.toUpperCase() };
  const message = `the refund needed a second person, and its request is ${state}`;
  return new PaymentError(PaymentErrorReason.REFUND_NOT_APPROVED, message, metadata);
}
