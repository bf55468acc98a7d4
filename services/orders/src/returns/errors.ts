import { OrderErrorReason } from "#gen/shop/orders/v1/order_error_reason_pb.js";
import { OrderError } from "../order/errors.ts";
import type { Money } from "../order/order.ts";
import type { PolicyRefusal } from "./return-policy.ts";

/** There is no such return of the order. */
export function returnNotFound({ orderId, returnId }: { orderId: string; returnId: string }): Error {
  const metadata = { order_id: orderId, return_id: returnId };
  return new OrderError(OrderErrorReason.RETURN_NOT_FOUND, `order ${orderId} has no return ${returnId}`, metadata);
}

/** Why articles cannot come back. */
export interface WhyNotReturnable {
  readonly why: PolicyRefusal | "NOT_DELIVERED" | "QUANTITY" | "NOT_YOURS_TO_DECIDE" | "TOO_MANY" | "LEGACY";
  readonly lineNumber?: number;
  readonly available?: number;
}

const sentences: Readonly<Record<Exclude<WhyNotReturnable["why"], "QUANTITY">, string>> = {
  OFF: "nothing is taken back: only an agent may decide otherwise",
  WINDOW_OVER: "the time in which articles are taken back is over",
  FINAL_SALE: "one of the articles is not taken back",
  NOT_DELIVERED: "nothing of the order has arrived that could come back, as far as is known",
  NOT_YOURS_TO_DECIDE: "only an agent may decide otherwise than the policy says",
  LEGACY: "the order is carried by a workflow of a former kind, which knows of no returns",
  TOO_MANY: "too many returns of the order are under way: wait until some are done, or withdraw them",
};

/** The articles cannot come back. */
export function notReturnable(orderId: string, { why, lineNumber, available }: WhyNotReturnable): Error {
  const line: Record<string, string> =
    lineNumber === undefined ? {} : { line_number: String(lineNumber), available: String(available) };
  const message =
    why === "QUANTITY" ? `of line ${lineNumber} of the order, ${available} can come back` : sentences[why];
  return new OrderError(OrderErrorReason.NOT_RETURNABLE, message, { order_id: orderId, why, ...line });
}

/** The table of returns has no way from the one status to the other. */
export function illegalReturnTransition(move: { returnId: string; from: string; to: string }): Error {
  const { returnId, from, to } = move;
  const metadata = { return_id: returnId, from: from.toUpperCase(), to: to.toUpperCase() };
  const message = `a return cannot go from ${from} to ${to}`;
  return new OrderError(OrderErrorReason.ILLEGAL_RETURN_TRANSITION, message, metadata);
}

/** More is to be kept than there is. */
export function withheldTooMuch({ currency, amount }: Money): Error {
  const message = `at most ${amount} minor units of ${currency} can be withheld`;
  return new OrderError(OrderErrorReason.WITHHELD_TOO_MUCH, message, { maximum: String(amount), currency });
}

/** More would be paid back than was charged. */
export function refundTooLarge(orderId: string, { currency, amount }: Money): Error {
  const message = `at most ${amount} minor units of ${currency} of the order can still be paid back`;
  const metadata = { order_id: orderId, maximum: String(amount), currency };
  return new OrderError(OrderErrorReason.REFUND_TOO_LARGE, message, metadata);
}
