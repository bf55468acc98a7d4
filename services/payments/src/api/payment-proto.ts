import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type LedgerEntry,
  LedgerEntryKind,
  LedgerEntrySchema,
  type Payment,
  PaymentSchema,
  PaymentStatus,
} from "#gen/shop/payments/v1/payment_pb.js";
import {
  type ApproveRefundRequest,
  ApproveRefundRequestSchema,
  type AuthorizePaymentRequest,
  AuthorizePaymentRequestSchema,
  type CapturePaymentRequest,
  CapturePaymentRequestSchema,
  type RefundPaymentRequest,
  RefundPaymentRequestSchema,
  type RejectRefundRequest,
  RejectRefundRequestSchema,
  type VoidPaymentRequest,
  VoidPaymentRequestSchema,
} from "#gen/shop/payments/v1/payment_service_pb.js";
import {
  type RefundRequest,
  RefundRequestSchema,
  RefundRequestStatus,
} from "#gen/shop/payments/v1/refund_request_pb.js";
import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { fingerprint } from "#platform/database/idempotency.ts";
import { type Fenced, fenceOf } from "#platform/fence.ts";
import { bucketOf, encodeId, newId } from "#platform/id.ts";
import { whole } from "#platform/whole.ts";
import type { DecisionInput } from "../approval/approval.repository.ts";
import type { AuthorizeInput, ChangeInput } from "../operation/operation-request.ts";
import type { LedgerEntry as LedgerRow } from "../payment/payment.entity.ts";
import type * as domain from "../payment/payment.ts";
import { statusOf } from "../payment/payment.ts";
import type * as refunds from "../refund/refund-request.ts";

const statuses = {
  pending: PaymentStatus.PENDING,
  authorized: PaymentStatus.AUTHORIZED,
  declined: PaymentStatus.DECLINED,
  captured: PaymentStatus.CAPTURED,
  voided: PaymentStatus.VOIDED,
  refunded: PaymentStatus.REFUNDED,
} as const satisfies Record<domain.PaymentStatus, PaymentStatus>;

const statusNames = new Map<PaymentStatus, domain.PaymentStatus>(
  Object.entries(statuses).map(([name, number]) => [number, name as domain.PaymentStatus] as const),
);

const requestStates = {
  waiting: RefundRequestStatus.WAITING,
  approved: RefundRequestStatus.APPROVED,
  rejected: RefundRequestStatus.REJECTED,
  expired: RefundRequestStatus.EXPIRED,
} as const satisfies Record<refunds.RefundRequestState, RefundRequestStatus>;

const requestStateNames = new Map<RefundRequestStatus, refunds.RefundRequestState>(
  Object.entries(requestStates).map(([name, number]) => [number, name as refunds.RefundRequestState] as const),
);

const entryKinds = {
  authorization: LedgerEntryKind.AUTHORIZATION,
  authorization_end: LedgerEntryKind.AUTHORIZATION_END,
  capture: LedgerEntryKind.CAPTURE,
  refund: LedgerEntryKind.REFUND,
  refund_failure: LedgerEntryKind.REFUND_FAILURE,
  credit: LedgerEntryKind.CREDIT,
} as const satisfies Record<domain.EntryKind, LedgerEntryKind>;

/** The status that a filter names; undefined for "any". */
export function toStatus(status: PaymentStatus): domain.PaymentStatus | undefined {
  return statusNames.get(status);
}

/** The state of refund requests that a filter names; undefined for "any". */
export function toRequestState(status: RefundRequestStatus): refunds.RefundRequestState | undefined {
  return requestStateNames.get(status);
}

/** A refund request as the API shows it. */
export function toProtoRequest(request: refunds.RefundRequest): RefundRequest {
  const { currency, amount, decideTime } = request;
  return whole(RefundRequestSchema, {
    refundRequestId: request.refundRequestId,
    paymentId: request.paymentId,
    amount: { currency, amount },
    reason: request.reason,
    status: requestStates[request.state],
    requester: request.requester,
    decider: request.decider,
    decisionReason: request.decisionReason,
    createTime: timestampFromDate(request.createTime),
    expireTime: timestampFromDate(request.expireTime),
    decideTime: decideTime && timestampFromDate(decideTime),
  });
}

/** A payment as the API shows it. */
export function toProto(payment: domain.Payment): Payment {
  const { currency } = payment;
  return whole(PaymentSchema, {
    paymentId: payment.paymentId,
    orderId: payment.orderId,
    customerId: payment.customerId,
    status: statuses[statusOf(payment)],
    amount: { currency, amount: payment.amount },
    captured: { currency, amount: payment.captured },
    voided: { currency, amount: payment.voided },
    refunded: { currency, amount: payment.refunded },
    declineCode: payment.declineCode,
    gatewayReference: payment.gatewayReference,
    holdExpireTime: payment.holdExpireTime && timestampFromDate(payment.holdExpireTime),
    createTime: timestampFromDate(payment.createTime),
    updateTime: timestampFromDate(payment.updateTime),
    provider: payment.provider,
    credited: { currency, amount: payment.credited },
    sourcePaymentId: payment.sourceId,
    holds: payment.holds,
  });
}

/** A ledger entry as the API shows it. */
export function toProtoEntry(entry: LedgerRow): LedgerEntry {
  return whole(LedgerEntrySchema, {
    entryId: entry.entryId,
    paymentId: encodeId(entry.paymentId),
    kind: entryKinds[entry.kind],
    debitAccount: entry.debitAccount,
    creditAccount: entry.creditAccount,
    amount: { currency: entry.currency, amount: entry.amount },
    createTime: timestampFromDate(entry.createTime),
  });
}

/** The same request whichever episode asks, and as it was before there were fences. */
function unfenced<R extends Fenced>(request: R): R {
  return request.fence > 0 ? { ...request, fence: 0 } : request;
}

/** What is asked for, under an id of our own when the caller gave none: in the bucket of the order. */
export function toAuthorize(request: AuthorizePaymentRequest): AuthorizeInput {
  return {
    requestId: request.requestId,
    paymentId: request.paymentId || newId(bucketOf(request.orderId)),
    orderId: request.orderId,
    customerId: request.customerId,
    cardToken: request.cardToken,
    sourceId: request.sourcePaymentId,
    currency: request.amount?.currency ?? "",
    amount: request.amount?.amount ?? 0n,
    parcels: request.parcels,
    singleCapture: request.singleCapture,
    fence: fenceOf(request),
    fingerprint: fingerprint(AuthorizePaymentRequestSchema, unfenced({ ...request, parcels: [] })),
  };
}

/** What is asked for. */
export function toCapture(request: CapturePaymentRequest): ChangeInput {
  return {
    kind: "capture",
    requestId: request.requestId,
    paymentId: request.paymentId,
    amount: request.amount,
    reason: "",
    fence: fenceOf(request),
    fingerprint: fingerprint(CapturePaymentRequestSchema, unfenced(request)),
  };
}

/** What is asked for. */
export function toVoid(request: VoidPaymentRequest): ChangeInput {
  return {
    kind: "void",
    requestId: request.requestId,
    paymentId: request.paymentId,
    amount: request.amount,
    reason: "",
    fence: fenceOf(request),
    fingerprint: fingerprint(VoidPaymentRequestSchema, unfenced(request)),
  };
}

/** What is asked for. */
export function toRefund(request: RefundPaymentRequest): ChangeInput {
  return {
    kind: "refund",
    requestId: request.requestId,
    paymentId: request.paymentId,
    amount: request.amount,
    reason: request.reason,
    grantedBy: request.grantedBy,
    fence: fenceOf(request),
    fingerprint: fingerprint(RefundPaymentRequestSchema, unfenced(request)),
  };
}

/** What somebody decides, as a credential has proved him. */
export function toApproval(request: ApproveRefundRequest, decider: string): DecisionInput {
  return {
    ...decisionOf(request, decider),
    verdict: "approved",
    fingerprint: fingerprint(ApproveRefundRequestSchema, request),
  };
}

/** What somebody decides, as a credential has proved him. */
export function toRejection(request: RejectRefundRequest, decider: string): DecisionInput {
  return {
    ...decisionOf(request, decider),
    verdict: "rejected",
    fingerprint: fingerprint(RejectRefundRequestSchema, request),
  };
}

function decisionOf(
  { requestId, refundRequestId, reason }: ApproveRefundRequest | RejectRefundRequest,
  decider: string,
) {
  return { requestId, refundRequestId, reason, decider, origin: auditOrigin(requestId) };
}
