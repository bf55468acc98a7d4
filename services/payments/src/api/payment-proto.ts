import { create } from "@bufbuild/protobuf";
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
  type AuthorizePaymentRequest,
  AuthorizePaymentRequestSchema,
  type CapturePaymentRequest,
  CapturePaymentRequestSchema,
  type RefundPaymentRequest,
  RefundPaymentRequestSchema,
  type VoidPaymentRequest,
  VoidPaymentRequestSchema,
} from "#gen/shop/payments/v1/payment_service_pb.js";
import { fingerprint } from "#platform/database/idempotency.ts";
import { bucketOf, encodeId, newId } from "#platform/id.ts";
import type { AuthorizeInput, ChangeInput } from "../operation/operation-request.ts";
import type { LedgerEntry as LedgerRow } from "../payment/payment.entity.ts";
import type * as domain from "../payment/payment.ts";
import { statusOf } from "../payment/payment.ts";

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

const entryKinds = {
  authorization: LedgerEntryKind.AUTHORIZATION,
  authorization_end: LedgerEntryKind.AUTHORIZATION_END,
  capture: LedgerEntryKind.CAPTURE,
  refund: LedgerEntryKind.REFUND,
} as const satisfies Record<domain.EntryKind, LedgerEntryKind>;

/** The status that a filter names; undefined for "any". */
export function toStatus(status: PaymentStatus): domain.PaymentStatus | undefined {
  return statusNames.get(status);
}

/** A payment as the API shows it. */
export function toProto(payment: domain.Payment): Payment {
  const { paymentId, orderId, customerId, currency, declineCode, gatewayReference } = payment;
  const money = (amount: bigint) => ({ currency, amount });
  return create(PaymentSchema, {
    ...{ paymentId, orderId, customerId, declineCode, gatewayReference },
    status: statuses[statusOf(payment)],
    amount: money(payment.amount),
    captured: money(payment.captured),
    voided: money(payment.voided),
    refunded: money(payment.refunded),
    createTime: timestampFromDate(payment.createTime),
    updateTime: timestampFromDate(payment.updateTime),
  });
}

/** A ledger entry as the API shows it. */
export function toProtoEntry(entry: LedgerRow): LedgerEntry {
  const { entryId, debitAccount, creditAccount, currency, amount } = entry;
  return create(LedgerEntrySchema, {
    ...{ entryId, debitAccount, creditAccount },
    paymentId: encodeId(entry.paymentId),
    kind: entryKinds[entry.kind],
    amount: { currency, amount },
    createTime: timestampFromDate(entry.createTime),
  });
}

/** What is asked for, under an id of our own when the caller gave none: in the bucket of the order. */
export function toAuthorize(request: AuthorizePaymentRequest): AuthorizeInput {
  const { requestId, orderId, customerId, cardToken } = request;
  return {
    ...{ requestId, orderId, customerId, cardToken },
    paymentId: request.paymentId || newId(bucketOf(orderId)),
    currency: request.amount?.currency ?? "",
    amount: request.amount?.amount ?? 0n,
    fingerprint: fingerprint(AuthorizePaymentRequestSchema, request),
  };
}

/** What is asked for. */
export function toCapture(request: CapturePaymentRequest): ChangeInput {
  const { requestId, paymentId, amount } = request;
  const print = fingerprint(CapturePaymentRequestSchema, request);
  return { kind: "capture", requestId, paymentId, amount, reason: "", fingerprint: print };
}

/** What is asked for. */
export function toVoid(request: VoidPaymentRequest): ChangeInput {
  const { requestId, paymentId, amount } = request;
  const print = fingerprint(VoidPaymentRequestSchema, request);
  return { kind: "void", requestId, paymentId, amount, reason: "", fingerprint: print };
}

/** What is asked for. */
export function toRefund(request: RefundPaymentRequest): ChangeInput {
  const { requestId, paymentId, amount, reason } = request;
  const print = fingerprint(RefundPaymentRequestSchema, request);
  return { kind: "refund", requestId, paymentId, amount, reason, fingerprint: print };
}
