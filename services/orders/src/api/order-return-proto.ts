import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  OrderReturnLineSchema,
  type OrderReturn as OrderReturnProto,
  OrderReturnSchema,
  type ReturnExchange as ReturnExchangeProto,
  ReturnExchangeSchema,
  ReturnExchangeStatus,
  ReturnKind as ReturnKindProto,
  ReturnLabelStatus,
  ReturnReason as ReturnReasonProto,
  ReturnStatus as ReturnStatusProto,
} from "#gen/shop/orders/v1/order_return_pb.js";
import {
  type ApproveReturnRequest,
  ApproveReturnRequestSchema,
  type CancelReturnRequest,
  CancelReturnRequestSchema,
  type GrantRefundRequest,
  GrantRefundRequestSchema,
  type ListReturnsRequest,
  type ReceiveReturnRequest,
  ReceiveReturnRequestSchema,
  type RejectReturnRequest,
  RejectReturnRequestSchema,
  type RequestedExchange,
  type RequestReturnRequest,
  RequestReturnRequestSchema,
} from "#gen/shop/orders/v1/order_return_service_pb.js";
import { fingerprint } from "#platform/database/idempotency.ts";
import { whole } from "#platform/whole.ts";
import { priceOf } from "../order/prices.ts";
import type { ReturnFilter } from "../returns/order-return.repository.ts";
import {
  type LabelState,
  type OrderReturn,
  type ReturnKind,
  type ReturnReason,
  type ReturnStatus,
  textOf,
} from "../returns/order-return.ts";
import type { DecideReturn, GrantRefund, ReceiveReturn, RequestReturn } from "../returns/order-returns.ts";
import type { ExchangeState, ReturnExchange, WantedExchange } from "../returns/return-exchange.ts";
import { toLineProto, toMoney, toPricedOrder } from "./order-proto.ts";

const statuses = {
  requested: ReturnStatusProto.REQUESTED,
  approved: ReturnStatusProto.APPROVED,
  received: ReturnStatusProto.RECEIVED,
  completed: ReturnStatusProto.COMPLETED,
  rejected: ReturnStatusProto.REJECTED,
  cancelled: ReturnStatusProto.CANCELLED,
} as const satisfies Record<ReturnStatus, ReturnStatusProto>;

const kinds = {
  requested: ReturnKindProto.REQUESTED,
  unasked: ReturnKindProto.UNASKED,
  goodwill: ReturnKindProto.GOODWILL,
  cancellation: ReturnKindProto.CANCELLATION,
} as const satisfies Record<ReturnKind, ReturnKindProto>;

const labelStatuses = {
  "": ReturnLabelStatus.UNSPECIFIED,
  wanted: ReturnLabelStatus.PENDING,
  made: ReturnLabelStatus.MADE,
  refused: ReturnLabelStatus.REFUSED,
} as const satisfies Record<LabelState, ReturnLabelStatus>;

const exchangeStates = {
  wanted: ReturnExchangeStatus.WANTED,
  made: ReturnExchangeStatus.MADE,
  refused: ReturnExchangeStatus.REFUSED,
  given_back: ReturnExchangeStatus.GIVEN_BACK,
} as const satisfies Record<ExchangeState, ReturnExchangeStatus>;

const reasons = {
  unwanted: ReturnReasonProto.UNWANTED,
  damaged: ReturnReasonProto.DAMAGED,
  defective: ReturnReasonProto.DEFECTIVE,
  wrong_article: ReturnReasonProto.WRONG_ARTICLE,
  late: ReturnReasonProto.LATE,
  undeliverable: ReturnReasonProto.UNDELIVERABLE,
  other: ReturnReasonProto.OTHER,
} as const satisfies Record<ReturnReason, ReturnReasonProto>;

const statusFromProto = new Map<number, ReturnStatus>(
  Object.entries(statuses).map(([name, value]) => [value, name as ReturnStatus]),
);
const labelStateFromProto = new Map<number, LabelState>(
  Object.entries(labelStatuses).map(([name, value]) => [value, name as LabelState]),
);
const reasonFromProto = new Map<number, ReturnReason>(
  Object.entries(reasons).map(([name, value]) => [value, name as ReturnReason]),
);

/** What somebody wants to send back. @throws CURRENCY_MISMATCH, TOTAL_TOO_LARGE, TOTAL_MISMATCH, BELOW_ZERO */
export function toRequest(request: RequestReturnRequest): RequestReturn {
  const { requestId, orderId, lines, reason, note, despitePolicy, exchange } = request;
  return {
    kind: "request",
    requestId,
    fingerprint: fingerprint(RequestReturnRequestSchema, request),
    orderId,
    lines: lines.map(({ lineNumber, quantity }) => ({ lineNumber, quantity })),
    reason: toReason(reason),
    note,
    despitePolicy,
    exchange: exchange && toWantedExchange(exchange),
  };
}

/** What is to be sent instead. @throws CURRENCY_MISMATCH, TOTAL_TOO_LARGE, TOTAL_MISMATCH, BELOW_ZERO */
function toWantedExchange(wanted: RequestedExchange): WantedExchange {
  const priced = toPricedOrder(wanted);
  const lines = priced.lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice: unitPrice.amount }));
  return { ...priceOf(priced), lines, cardToken: wanted.cardToken };
}

/** That a return is approved. */
export function toApproval(request: ApproveReturnRequest): DecideReturn {
  const { requestId, orderId, returnId, trackingNumber } = request;
  const known = fingerprint(ApproveReturnRequestSchema, request);
  const ids = { requestId, fingerprint: known, orderId, returnId };
  return { kind: "decide", ...ids, to: "approved", trackingNumber, answer: "" };
}

/** That a return is rejected. */
export function toRejection(request: RejectReturnRequest): DecideReturn {
  const { requestId, orderId, returnId, answer } = request;
  const known = fingerprint(RejectReturnRequestSchema, request);
  const ids = { requestId, fingerprint: known, orderId, returnId };
  return { kind: "decide", ...ids, to: "rejected", trackingNumber: "", answer };
}

/** That a return is withdrawn. */
export function toWithdrawal(request: CancelReturnRequest): DecideReturn {
  const { requestId, orderId, returnId } = request;
  const known = fingerprint(CancelReturnRequestSchema, request);
  const ids = { requestId, fingerprint: known, orderId, returnId };
  return { kind: "decide", ...ids, to: "cancelled", trackingNumber: "", answer: "" };
}

/** What came. */
export function toReceipt(request: ReceiveReturnRequest): ReceiveReturn {
  const { requestId, orderId, returnId, lines, reason, withheld, answer } = request;
  return {
    kind: "receive",
    requestId,
    fingerprint: fingerprint(ReceiveReturnRequestSchema, request),
    orderId,
    returnId: returnId || undefined,
    lines: lines.map(({ lineNumber, quantity, restocked, locationId }) => ({
      lineNumber,
      quantity,
      restocked,
      locationId,
    })),
    reason: toReason(reason),
    withheld: withheld && toMoney(withheld),
    answer,
  };
}

/** What is granted, and by whom. */
export function toGrant(request: GrantRefundRequest, grantedBy: string): GrantRefund {
  const { requestId, orderId, amount, reason, answer } = request;
  const known = fingerprint(GrantRefundRequestSchema, request);
  const ids = { requestId, fingerprint: known, orderId };
  return { kind: "grant", ...ids, amount: toMoney(amount), reason: toReason(reason), answer, grantedBy };
}

/**
 * The filter of a list; nothing given is any.
 *
 * @param owner the only customer whose returns are looked at; undefined: those of all
 * @returns undefined when it is about the returns of somebody else
 */
export function toReturnFilter(request: ListReturnsRequest, owner?: string): ReturnFilter | undefined {
  const customerId = request.customerId || undefined;
  if (owner !== undefined && customerId !== undefined && customerId !== owner) return undefined;
  return {
    orderId: request.orderId || undefined,
    customerId: owner ?? customerId,
    status: statusFromProto.get(request.status),
    labelState: labelStateFromProto.get(request.labelStatus) || undefined,
  };
}

/** A return as callers see it. */
export function toReturnProto(given: OrderReturn): OrderReturnProto {
  const { amount, withheld, lines } = given;
  const { currency } = amount;
  return whole(OrderReturnSchema, {
    orderId: given.orderId,
    returnId: given.returnId,
    customerId: given.customerId,
    status: statuses[given.status],
    kind: kinds[given.kind],
    reason: reasons[given.reason],
    note: given.note,
    answer: given.answer,
    lines: lines.map(({ amount: cost, ...line }) =>
      whole(OrderReturnLineSchema, { ...line, amount: { currency, amount: cost } }),
    ),
    amount,
    withheld: { currency, amount: withheld },
    trackingNumber: given.trackingNumber,
    parcelLocationId: given.parcelLocationId,
    labelStatus: labelStatuses[given.status === "approved" || given.labelState === "made" ? given.labelState : ""],
    label: given.label,
    exchange: given.exchange && toExchangeProto(given.exchange),
    refundDelayed: given.isDelayed,
    customerMessage: textOf(given),
    revision: given.revision,
    createTime: timestampFromDate(given.createTime),
    updateTime: timestampFromDate(given.updateTime),
  });
}

function toExchangeProto({ state, lines, total, orderId, credit, reason }: ReturnExchange): ReturnExchangeProto {
  const { currency } = total;
  return whole(ReturnExchangeSchema, {
    status: exchangeStates[state],
    lines: lines.map((line) => toLineProto(line, [], currency)),
    total,
    orderId: state === "made" || state === "given_back" ? orderId : "",
    credit: orderId === "" ? undefined : { currency, amount: credit },
    reason,
  });
}

function toReason(reason: ReturnReasonProto): ReturnReason {
  return reasonFromProto.get(reason) ?? "other";
}
