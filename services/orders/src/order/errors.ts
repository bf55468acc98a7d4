import { Code } from "@connectrpc/connect";
import { OrderErrorReason, OrderErrorReasonSchema } from "#gen/shop/orders/v1/order_error_reason_pb.js";
import { defineErrors } from "#platform/errors.ts";
import type { Money } from "./order.ts";

/** Refusals of the orders service; each reason's facts are listed in `order_error_reason.proto`. */
export const OrderError = defineErrors<OrderErrorReason>({
  domain: "orders.shop",
  reasons: OrderErrorReasonSchema,
  codes: {
    [OrderErrorReason.UNSPECIFIED]: Code.Unknown,
    [OrderErrorReason.ORDER_NOT_FOUND]: Code.NotFound,
    [OrderErrorReason.CUSTOMER_NOT_FOUND]: Code.NotFound,
    [OrderErrorReason.CURRENCY_MISMATCH]: Code.InvalidArgument,
    [OrderErrorReason.TOTAL_TOO_LARGE]: Code.InvalidArgument,
    [OrderErrorReason.TOTAL_MISMATCH]: Code.InvalidArgument,
    [OrderErrorReason.BELOW_ZERO]: Code.InvalidArgument,
    [OrderErrorReason.ILLEGAL_TRANSITION]: Code.FailedPrecondition,
    [OrderErrorReason.NOT_CANCELLABLE]: Code.FailedPrecondition,
    [OrderErrorReason.EMAIL_TAKEN]: Code.AlreadyExists,
    [OrderErrorReason.CUSTOMER_CHANGED]: Code.Aborted,
    [OrderErrorReason.CUSTOMER_EXISTS]: Code.AlreadyExists,
    [OrderErrorReason.EPISODE_OVER]: Code.FailedPrecondition,
    [OrderErrorReason.STEP_NOT_PARKED]: Code.FailedPrecondition,
    [OrderErrorReason.NOT_DELETABLE]: Code.FailedPrecondition,
    [OrderErrorReason.ORDER_NOT_ACCEPTED]: Code.FailedPrecondition,
    [OrderErrorReason.REVIEW_EXPIRED]: Code.FailedPrecondition,
    [OrderErrorReason.NOT_IN_REVIEW]: Code.FailedPrecondition,
    [OrderErrorReason.RETURN_NOT_FOUND]: Code.NotFound,
    [OrderErrorReason.NOT_RETURNABLE]: Code.FailedPrecondition,
    [OrderErrorReason.ILLEGAL_RETURN_TRANSITION]: Code.FailedPrecondition,
    [OrderErrorReason.WITHHELD_TOO_MUCH]: Code.InvalidArgument,
    [OrderErrorReason.REFUND_TOO_LARGE]: Code.FailedPrecondition,
    [OrderErrorReason.NOT_AMENDABLE]: Code.FailedPrecondition,
    [OrderErrorReason.AMENDMENT_PENDING]: Code.Aborted,
    [OrderErrorReason.ORDER_CHANGED]: Code.Aborted,
    [OrderErrorReason.LINE_NOT_THERE]: Code.InvalidArgument,
    [OrderErrorReason.NOTHING_LEFT]: Code.FailedPrecondition,
    [OrderErrorReason.CARD_NEEDED]: Code.FailedPrecondition,
    [OrderErrorReason.AMENDMENT_DECIDED]: Code.FailedPrecondition,
    [OrderErrorReason.PARCEL_NOT_FOUND]: Code.NotFound,
    [OrderErrorReason.SHORTAGE_DECIDED]: Code.FailedPrecondition,
    [OrderErrorReason.ORDER_RECALLED]: Code.FailedPrecondition,
  },
});

/** There is no order with this id. */
export function orderNotFound(orderId: string): Error {
  return new OrderError(OrderErrorReason.ORDER_NOT_FOUND, `there is no order ${orderId}`, { order_id: orderId });
}

/** No parcel of the order leaves from there. */
export function parcelNotFound({ orderId, locationId }: { orderId: string; locationId: string }): Error {
  const message = `order ${orderId} has no parcel from ${locationId}`;
  return new OrderError(OrderErrorReason.PARCEL_NOT_FOUND, message, { order_id: orderId, location_id: locationId });
}

/** There is no customer with this id. */
export function customerNotFound(customerId: string): Error {
  const metadata = { customer_id: customerId };
  return new OrderError(OrderErrorReason.CUSTOMER_NOT_FOUND, `there is no customer ${customerId}`, metadata);
}

/** The order has gone too far to be withdrawn. */
export function notCancellable(orderId: string, status: string, cause?: unknown): Error {
  const message = `the order is ${status} and can no longer be cancelled`;
  const metadata = { order_id: orderId, status: status.toUpperCase() };
  return new OrderError(OrderErrorReason.NOT_CANCELLABLE, message, metadata, { cause });
}

/** The order has gone too far to be amended. */
export function notAmendable(orderId: string, status: string): Error {
  const message = `the order is ${status}, or about to be cancelled, and can no longer be amended`;
  const metadata = { order_id: orderId, status: status.toUpperCase() };
  return new OrderError(OrderErrorReason.NOT_AMENDABLE, message, metadata);
}

/** Another amendment comes first. */
export function amendmentPending(orderId: string, number: number): Error {
  const message = `amendment ${number} of the order is under way: ask again once it is decided`;
  return new OrderError(OrderErrorReason.AMENDMENT_PENDING, message, { order_id: orderId, number: String(number) });
}

/** The caller has seen another order than there is now. */
export function orderChanged(orderId: string, revision: number): Error {
  const message = `the order has changed since: its revision is ${revision}; look at it and ask again`;
  return new OrderError(OrderErrorReason.ORDER_CHANGED, message, { order_id: orderId, revision: String(revision) });
}

/** @param quantity what there is of the line; 0: there is no such line */
export function lineNotThere(lineNumber: number, quantity: number): Error {
  const message =
    quantity === 0
      ? `the order has no line ${lineNumber}`
      : `line ${lineNumber} of the order has ${quantity} pieces only`;
  return new OrderError(OrderErrorReason.LINE_NOT_THERE, message, {
    line_number: String(lineNumber),
    quantity: String(quantity),
  });
}

/** An amendment leaves something of an order. */
export function nothingLeft(orderId: string): Error {
  const message = "nothing of the order would be left: cancel the order instead";
  return new OrderError(OrderErrorReason.NOTHING_LEFT, message, { order_id: orderId });
}

/** What an amendment costs more is to be paid. */
export function cardNeeded(orderId: string, { total, amended }: { total: Money; amended: bigint }): Error {
  const { currency, amount } = total;
  const message = `the order would cost ${amended} instead of ${amount} minor units of ${currency}: name a card_token that pays the difference`;
  const metadata = { order_id: orderId, total: String(amount), amended: String(amended), currency };
  return new OrderError(OrderErrorReason.CARD_NEEDED, message, metadata);
}

/** Amounts have currencies that must be one. */
export function currencyMismatch(currencies: readonly string[]): Error {
  const metadata = { currencies: [...currencies].sort().join(",") };
  return new OrderError(OrderErrorReason.CURRENCY_MISMATCH, "all amounts of an order must have one currency", metadata);
}

/** The amendment cannot be decided so any more. */
export function amendmentDecided(orderId: string, number: number): Error {
  const message = `amendment ${number} of the order is decided otherwise, or there is none`;
  return new OrderError(OrderErrorReason.AMENDMENT_DECIDED, message, { order_id: orderId, number: String(number) });
}

/** What is missing of the order cannot be taken out of it any more. */
export function shortageDecided(orderId: string): Error {
  const message =
    "the order is decided, has lost other pieces already, or does not have so many: ask inventory again what is missing";
  return new OrderError(OrderErrorReason.SHORTAGE_DECIDED, message, { order_id: orderId });
}

/** The order may be needed yet. @param why what keeps it, as a sentence goes on */
export function notDeletable(orderId: string, { status, why }: { status: string; why: string }): Error {
  const metadata = { order_id: orderId, status: status.toUpperCase() };
  return new OrderError(OrderErrorReason.NOT_DELETABLE, `the order is ${status} and ${why}`, metadata);
}

/** The transition table has no way from the one status to the other. */
export function illegalTransition(move: { orderId: string; from: string; to: string }): Error {
  const { orderId, from, to } = move;
  const metadata = { order_id: orderId, from: from.toUpperCase(), to: to.toUpperCase() };
  return new OrderError(OrderErrorReason.ILLEGAL_TRANSITION, `an order cannot go from ${from} to ${to}`, metadata);
}

/** The order is not in that episode, or is not in it any more. */
export function episodeOver({ orderId, episodeId }: { orderId: string; episodeId: string }): Error {
  const metadata = { order_id: orderId, episode_id: episodeId };
  const message = `order ${orderId} is not carried by ${episodeId}`;
  return new OrderError(OrderErrorReason.EPISODE_OVER, message, metadata);
}

/** Its cancellation was accepted: what ends with nothing of it at the customer's ends CANCELLED. */
export function orderRecalled(orderId: string): Error {
  const message = "the cancellation of the order was accepted meanwhile: it ends CANCELLED";
  return new OrderError(OrderErrorReason.ORDER_RECALLED, message, { order_id: orderId });
}

/** The step does not wait for an operator. */
export function stepNotParked({ orderId, step }: { orderId: string; step: string }): Error {
  const message = "the step does not wait for an operator";
  return new OrderError(OrderErrorReason.STEP_NOT_PARKED, message, { order_id: orderId, step });
}

/** The order was screened, or reviewed, and is to be rejected. Why is not for its customer. */
export function orderNotAccepted(orderId: string): Error {
  return new OrderError(OrderErrorReason.ORDER_NOT_ACCEPTED, "the order is not accepted", { order_id: orderId });
}

/** What the order is to become was screened. Why not is not for its customer. */
export function amendmentNotAccepted(orderId: string): Error {
  const message = "what the order is to become is not accepted: it stays as it is";
  return new OrderError(OrderErrorReason.ORDER_NOT_ACCEPTED, message, { order_id: orderId });
}

/** Nobody decided about the order in time. */
export function reviewExpired(orderId: string): Error {
  const message = "nobody decided about the order in time";
  return new OrderError(OrderErrorReason.REVIEW_EXPIRED, message, { order_id: orderId });
}

/** Nobody is to decide about the order. */
export function notInReview(orderId: string): Error {
  return new OrderError(OrderErrorReason.NOT_IN_REVIEW, "the order is not under review", { order_id: orderId });
}
