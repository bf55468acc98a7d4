import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type * as api from "#gen/shop/payments/v1/payment_service_pb.js";
import { answerEach } from "#platform/batch/batch-call.ts";
import { type Subject, withSubject } from "#platform/context.ts";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { activeSpan } from "#platform/trace/spans.ts";
import type { Payments } from "../move/money-mover.ts";
import type { Outcome } from "../operation/operation.ts";
import type { PaymentCursor, PaymentFilter, PaymentRepository } from "../payment/payment.repository.ts";
import { notFound } from "../payment/refusals.ts";
import { toAuthorize, toCapture, toProto, toProtoEntry, toRefund, toStatus, toVoid } from "./payment-proto.ts";

const defaultPageSize = 50;

/** `shop.payments.v1.PaymentService`: maps, calls, maps back. */
export class PaymentService implements ServiceImpl<typeof api.PaymentService> {
  readonly #payments: Payments;
  readonly #repository: PaymentRepository;
  readonly #tokens: PageTokens;

  constructor(payments: Payments, repository: PaymentRepository, tokens: PageTokens) {
    this.#payments = payments;
    this.#repository = repository;
    this.#tokens = tokens;
  }

  async authorizePayment(request: api.AuthorizePaymentRequest, { signal }: HandlerContext) {
    activeSpan()?.setAttributes(authorizationIds(request));
    return await withSubject({ "order.id": request.orderId }, async () => {
      const { payment } = await this.#payments.authorize(toAuthorize(request), signal);
      return { payment: toProto(payment) };
    });
  }

  async batchAuthorizePayments(list: api.BatchAuthorizePaymentsRequest, context: HandlerContext) {
    const about = { method: "AuthorizePayment", subjectOf: orderOf, attributesOf: authorizationIds };
    return { outcomes: await answerEach(list, about, (request) => this.authorizePayment(request, context)) };
  }

  async capturePayment(request: api.CapturePaymentRequest, { signal }: HandlerContext) {
    activeSpan()?.setAttributes(paymentIds(request));
    return toAnswer(await this.#payments.change(toCapture(request), signal));
  }

  async batchCapturePayments(list: api.BatchCapturePaymentsRequest, context: HandlerContext) {
    const about = { method: "CapturePayment", subjectOf: () => ({}), attributesOf: paymentIds };
    return { outcomes: await answerEach(list, about, (request) => this.capturePayment(request, context)) };
  }

  async voidPayment(request: api.VoidPaymentRequest, { signal }: HandlerContext) {
    activeSpan()?.setAttributes(paymentIds(request));
    return toAnswer(await this.#payments.change(toVoid(request), signal));
  }

  async batchVoidPayments(list: api.BatchVoidPaymentsRequest, context: HandlerContext) {
    const about = { method: "VoidPayment", subjectOf: () => ({}), attributesOf: paymentIds };
    return { outcomes: await answerEach(list, about, (request) => this.voidPayment(request, context)) };
  }

  async refundPayment(request: api.RefundPaymentRequest, { signal }: HandlerContext) {
    activeSpan()?.setAttributes(paymentIds(request));
    return toAnswer(await this.#payments.change(toRefund(request), signal));
  }

  async batchRefundPayments(list: api.BatchRefundPaymentsRequest, context: HandlerContext) {
    const about = { method: "RefundPayment", subjectOf: () => ({}), attributesOf: paymentIds };
    return { outcomes: await answerEach(list, about, (request) => this.refundPayment(request, context)) };
  }

  async getPayment({ paymentId }: api.GetPaymentRequest) {
    const payment = await this.#repository.get(paymentId);
    if (!payment) throw notFound(paymentId);
    return { payment: toProto(payment) };
  }

  async listPayments(request: api.ListPaymentsRequest) {
    const filter = toFilter(request);
    const sealedFor: Json = { method: "ListPayments", ...filter };
    const after = toCursor(this.#tokens.open(request.pageToken, sealedFor));
    const limit = request.pageSize || defaultPageSize;
    const found = await this.#repository.list(filter, { limit: limit + 1, ...(after ? { after } : {}) });
    const payments = found.slice(0, limit);
    const last = found.length > limit ? payments.at(-1) : undefined;
    const nextPageToken = last ? this.#tokens.seal([last.createTime.getTime(), last.paymentId], sealedFor) : "";
    return { payments: payments.map(toProto), nextPageToken };
  }

  async listLedgerEntries({ paymentId, pageSize, pageToken }: api.ListLedgerEntriesRequest) {
    const sealedFor: Json = { method: "ListLedgerEntries", paymentId };
    const before = this.#tokens.open(pageToken, sealedFor);
    const limit = pageSize || defaultPageSize;
    const page = { limit: limit + 1, ...(typeof before === "string" ? { before: BigInt(before) } : {}) };
    const found = await this.#repository.listEntries(paymentId ? { paymentId } : {}, page);
    const entries = found.slice(0, limit);
    const last = found.length > limit ? entries.at(-1) : undefined;
    const nextPageToken = last ? this.#tokens.seal(String(last.entryId), sealedFor) : "";
    return { entries: entries.map(toProtoEntry), nextPageToken };
  }
}

function toAnswer({ payment, pending }: Outcome) {
  // The request names the payment alone.
  if (payment.orderId) activeSpan()?.setAttributes({ "order.id": payment.orderId });
  return { payment: toProto(payment), pending };
}

function orderOf({ orderId }: api.AuthorizePaymentRequest): Subject {
  return { "order.id": orderId };
}

function authorizationIds({ orderId, paymentId }: api.AuthorizePaymentRequest) {
  return { "order.id": orderId, ...(paymentId ? { "payment.id": paymentId } : {}) };
}

function paymentIds({ paymentId }: { paymentId: string }) {
  return { "payment.id": paymentId };
}

function toFilter({ orderId, customerId, status }: api.ListPaymentsRequest): PaymentFilter & Record<string, string> {
  const name = toStatus(status);
  return {
    ...(orderId ? { orderId } : {}),
    ...(customerId ? { customerId } : {}),
    ...(name ? { status: name } : {}),
  };
}

function toCursor(cursor: Json | undefined): PaymentCursor | undefined {
  if (!Array.isArray(cursor)) return undefined;
  const [time, paymentId] = cursor;
  return typeof time === "number" && typeof paymentId === "string"
    ? { createTime: new Date(time), paymentId }
    : undefined;
}
