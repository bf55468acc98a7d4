import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type ApproveRefundRequest,
  ApproveRefundResponseSchema,
  type AuthorizePaymentRequest,
  type AuthorizePaymentResponse,
  AuthorizePaymentResponseSchema,
  type BatchAuthorizePaymentsRequest,
  BatchAuthorizePaymentsResponseSchema,
  type BatchCapturePaymentsRequest,
  BatchCapturePaymentsResponseSchema,
  type BatchRefundPaymentsRequest,
  BatchRefundPaymentsResponseSchema,
  type BatchVoidPaymentsRequest,
  BatchVoidPaymentsResponseSchema,
  type CapturePaymentRequest,
  type CapturePaymentResponse,
  CapturePaymentResponseSchema,
  type GetPaymentRequest,
  GetPaymentResponseSchema,
  type GetRefundRequestRequest,
  GetRefundRequestResponseSchema,
  type ListDisputesRequest,
  ListDisputesResponseSchema,
  type ListLedgerEntriesRequest,
  ListLedgerEntriesResponseSchema,
  type ListPaymentsRequest,
  ListPaymentsResponseSchema,
  type ListRefundRequestsRequest,
  ListRefundRequestsResponseSchema,
  type PaymentService,
  type RefundPaymentRequest,
  type RefundPaymentResponse,
  RefundPaymentResponseSchema,
  type RejectRefundRequest,
  RejectRefundResponseSchema,
  type VoidPaymentRequest,
  type VoidPaymentResponse,
  VoidPaymentResponseSchema,
} from "#gen/shop/payments/v1/payment_service_pb.js";
import { credentialMissing } from "#platform/authorization/errors.ts";
import { answerEachInTime } from "#platform/batch/batch-call.ts";
import { requestContext, type Subject, withSubject } from "#platform/context.ts";
import { decodeId } from "#platform/id.ts";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { activeSpan } from "#platform/trace/spans.ts";
import { whole } from "#platform/whole.ts";
import type { ApprovalRepository, Decided, DecisionInput } from "../approval/approval.repository.ts";
import type { DisputeRepository } from "../dispute/dispute.repository.ts";
import type { PaymentMetrics } from "../move/metrics.ts";
import type { MoneyMover } from "../move/money-mover.ts";
import type { Outcome } from "../operation/operation.ts";
import type { ChangeInput } from "../operation/operation-request.ts";
import { notFound } from "../payment/errors.ts";
import type { PaymentCursor, PaymentFilter, PaymentRepository } from "../payment/payment.repository.ts";
import { disputeCursor, disputeListOf, toDisputeFilter, toDisputePlace, toProtoDispute } from "./dispute-proto.ts";
import {
  toApproval,
  toAuthorize,
  toCapture,
  toProto,
  toProtoEntry,
  toProtoRequest,
  toRefund,
  toRejection,
  toRequestState,
  toStatus,
  toVoid,
} from "./payment-proto.ts";

/** What {@link PaymentApi} answers with. */
export interface PaymentApiOptions {
  readonly mover: MoneyMover;
  readonly approvals: ApprovalRepository;
  readonly metrics: Pick<PaymentMetrics, "refundDecided">;
  readonly payments: PaymentRepository;
  readonly disputes: DisputeRepository;
  readonly pageTokens: PageTokens;
}

/** `shop.payments.v1.PaymentService`: maps, calls, maps back. */
export class PaymentApi implements ServiceImpl<typeof PaymentService> {
  readonly #mover: MoneyMover;
  readonly #approvals: ApprovalRepository;
  readonly #metrics: Pick<PaymentMetrics, "refundDecided">;
  readonly #payments: PaymentRepository;
  readonly #disputes: DisputeRepository;
  readonly #pageTokens: PageTokens;

  constructor({ mover, approvals, metrics, payments, disputes, pageTokens }: PaymentApiOptions) {
    this.#mover = mover;
    this.#approvals = approvals;
    this.#metrics = metrics;
    this.#payments = payments;
    this.#disputes = disputes;
    this.#pageTokens = pageTokens;
  }

  async authorizePayment(request: AuthorizePaymentRequest, { signal }: HandlerContext, enough = signal) {
    activeSpan()?.setAttributes(authorizationIds(request));
    return await withSubject({ "order.id": request.orderId }, async (): Promise<AuthorizePaymentResponse> => {
      const { payment } = await this.#mover.authorize(toAuthorize(request), signal, enough);
      return whole(AuthorizePaymentResponseSchema, { payment: toProto(payment) });
    });
  }

  async batchAuthorizePayments(batch: BatchAuthorizePaymentsRequest, context: HandlerContext) {
    const about = { method: "AuthorizePayment", subjectOf: orderOf, attributesOf: authorizationIds };
    const outcomes = await answerEachInTime(batch, { about, caller: context.signal }, (request, enough) =>
      this.authorizePayment(request, context, enough),
    );
    return whole(BatchAuthorizePaymentsResponseSchema, { outcomes });
  }

  async capturePayment(
    request: CapturePaymentRequest,
    { signal }: HandlerContext,
    enough = signal,
  ): Promise<CapturePaymentResponse> {
    const { payment, pending } = await this.#change(toCapture(request), signal, enough);
    return whole(CapturePaymentResponseSchema, { payment: toProto(payment), pending });
  }

  async batchCapturePayments(batch: BatchCapturePaymentsRequest, context: HandlerContext) {
    const about = { method: "CapturePayment", subjectOf: () => ({}), attributesOf: paymentIds };
    const outcomes = await answerEachInTime(batch, { about, caller: context.signal }, (request, enough) =>
      this.capturePayment(request, context, enough),
    );
    return whole(BatchCapturePaymentsResponseSchema, { outcomes });
  }

  async voidPayment(
    request: VoidPaymentRequest,
    { signal }: HandlerContext,
    enough = signal,
  ): Promise<VoidPaymentResponse> {
    const { payment, pending } = await this.#change(toVoid(request), signal, enough);
    return whole(VoidPaymentResponseSchema, { payment: toProto(payment), pending });
  }

  async batchVoidPayments(batch: BatchVoidPaymentsRequest, context: HandlerContext) {
    const about = { method: "VoidPayment", subjectOf: () => ({}), attributesOf: paymentIds };
    const outcomes = await answerEachInTime(batch, { about, caller: context.signal }, (request, enough) =>
      this.voidPayment(request, context, enough),
    );
    return whole(BatchVoidPaymentsResponseSchema, { outcomes });
  }

  async refundPayment(
    request: RefundPaymentRequest,
    { signal }: HandlerContext,
    enough = signal,
  ): Promise<RefundPaymentResponse> {
    const { payment, pending, request: waiting } = await this.#change(toRefund(request), signal, enough);
    return whole(RefundPaymentResponseSchema, {
      payment: toProto(payment),
      pending,
      refundRequest: waiting && toProtoRequest(waiting),
    });
  }

  async batchRefundPayments(batch: BatchRefundPaymentsRequest, context: HandlerContext) {
    const about = { method: "RefundPayment", subjectOf: () => ({}), attributesOf: paymentIds };
    const outcomes = await answerEachInTime(batch, { about, caller: context.signal }, (request, enough) =>
      this.refundPayment(request, context, enough),
    );
    return whole(BatchRefundPaymentsResponseSchema, { outcomes });
  }

  async approveRefund(request: ApproveRefundRequest, { signal }: HandlerContext) {
    const decided = await this.#decide(toApproval(request, deciderOf()));
    const begun = { operationId: request.refundRequestId, ...(decided.ticket && { ticket: decided.ticket }) };
    const { payment, pending } = await this.#mover.follow(begun, signal);
    return whole(ApproveRefundResponseSchema, {
      refundRequest: toProtoRequest(decided.request),
      payment: toProto(payment),
      pending,
    });
  }

  async rejectRefund(request: RejectRefundRequest) {
    const decided = await this.#decide(toRejection(request, deciderOf()));
    return whole(RejectRefundResponseSchema, { refundRequest: toProtoRequest(decided.request) });
  }

  async getRefundRequest({ refundRequestId }: GetRefundRequestRequest) {
    const { request } = await this.#approvals.get(refundRequestId);
    return whole(GetRefundRequestResponseSchema, { refundRequest: toProtoRequest(request) });
  }

  async listRefundRequests(request: ListRefundRequestsRequest) {
    const { paymentId } = request;
    const state = toRequestState(request.status);
    const filter = { ...(paymentId && { paymentId: decodeId(paymentId) }), ...(state && { state }) };
    const { items, nextPageToken } = await this.#pageTokens.page(request, {
      filter: { method: "ListRefundRequests", ...filter },
      place: toCursor,
      read: ({ after, limit }) => {
        const place = after && { createTime: after.createTime, refundRequestId: decodeId(after.paymentId) };
        return this.#approvals.list({ ...filter, after: place }, limit);
      },
      cursorOf: ({ createTime, refundRequestId }) => [createTime.getTime(), refundRequestId],
    });
    return whole(ListRefundRequestsResponseSchema, { refundRequests: items.map(toProtoRequest), nextPageToken });
  }

  async listDisputes(request: ListDisputesRequest) {
    const filter = toDisputeFilter(request);
    const { items, nextPageToken } = await this.#pageTokens.page(request, {
      filter: disputeListOf(filter),
      place: toDisputePlace,
      read: ({ after, limit }) => this.#disputes.list({ ...filter, after }, limit),
      cursorOf: disputeCursor,
    });
    return whole(ListDisputesResponseSchema, { disputes: items.map(toProtoDispute), nextPageToken });
  }

  async getPayment({ paymentId }: GetPaymentRequest) {
    const payment = await this.#payments.get(paymentId);
    if (!payment) throw notFound(paymentId);
    const { currency } = payment;
    const amount = await this.#payments.givenBack(payment);
    return whole(GetPaymentResponseSchema, { payment: toProto(payment), givenBack: { currency, amount } });
  }

  async listPayments(request: ListPaymentsRequest) {
    const filter = toFilter(request);
    const { items, nextPageToken } = await this.#pageTokens.page(request, {
      filter: { method: "ListPayments", ...filter },
      place: toCursor,
      read: (page) => this.#payments.list(filter, page),
      cursorOf: ({ createTime, paymentId }) => [createTime.getTime(), paymentId],
    });
    return whole(ListPaymentsResponseSchema, { payments: items.map(toProto), nextPageToken });
  }

  async listLedgerEntries(request: ListLedgerEntriesRequest) {
    const { paymentId } = request;
    const { items, nextPageToken } = await this.#pageTokens.page(request, {
      filter: { method: "ListLedgerEntries", paymentId },
      place: (cursor) => (typeof cursor === "string" ? BigInt(cursor) : undefined),
      read: ({ after: before, limit }) => this.#payments.listEntries({ paymentId, before, limit }),
      cursorOf: ({ entryId }) => String(entryId),
    });
    return whole(ListLedgerEntriesResponseSchema, { entries: items.map(toProtoEntry), nextPageToken });
  }

  async #decide(input: DecisionInput): Promise<Decided> {
    const decided = await this.#approvals.decide(input);
    const { paymentId, orderId } = decided.payment;
    activeSpan()?.setAttributes({ "payment.id": paymentId, ...(orderId && { "order.id": orderId }) });
    if (decided.isNew) this.#metrics.refundDecided(input.verdict);
    return decided;
  }

  async #change(input: ChangeInput, signal: AbortSignal, enough: AbortSignal): Promise<Outcome> {
    activeSpan()?.setAttributes(paymentIds(input));
    const outcome = await this.#mover.change(input, signal, enough);
    // The request names the payment alone.
    const { orderId } = outcome.payment;
    if (orderId) activeSpan()?.setAttributes({ "order.id": orderId });
    return outcome;
  }
}

/** Who decides, as a credential has proved. @throws CREDENTIAL_MISSING where nobody is asked: who asked could not be told from who decides */
function deciderOf(): string {
  const { caller } = requestContext();
  if (!caller) throw credentialMissing();
  return caller.subject;
}

function orderOf({ orderId }: AuthorizePaymentRequest): Subject {
  return { "order.id": orderId };
}

function authorizationIds({ orderId, paymentId }: AuthorizePaymentRequest) {
  return { "order.id": orderId, ...(paymentId ? { "payment.id": paymentId } : {}) };
}

function paymentIds({ paymentId }: { paymentId: string }) {
  return { "payment.id": paymentId };
}

function toFilter({ orderId, customerId, status }: ListPaymentsRequest): PaymentFilter & Record<string, string> {
  const name = toStatus(status);
  return {
    ...(orderId ? { orderId } : {}),
    ...(customerId ? { customerId } : {}),
    ...(name ? { status: name } : {}),
  };
}

function toCursor(cursor: Json): PaymentCursor | undefined {
  if (!Array.isArray(cursor)) return undefined;
  const [time, paymentId] = cursor;
  return typeof time === "number" && typeof paymentId === "string"
    ? { createTime: new Date(time), paymentId }
    : undefined;
}
