import type { Refusal } from "../engine/step-batch.ts";
import type { OrderFailure } from "./order-types.ts";

/** What customers read, by reason. No internals, no blame, and what to do next where there is something to do. */
const texts: Readonly<Record<string, string>> = {
  OUT_OF_STOCK: "One of the articles is sold out. Nothing was charged.",
  UNKNOWN_SKU: "One of the articles is no longer offered. Nothing was charged.",
  TOO_MANY_LOCATIONS: "So many pieces cannot be sent in one order. Nothing was charged. Please order fewer of them.",
  HOLD_EXPIRED: "One of the articles was sold out before the order could be completed. Nothing was charged.",
  RESERVATION_ENDED: "The order could not be completed. Nothing was charged. Please order again.",
  PAYMENT_DECLINED: "The card was declined. Nothing was charged. Please try another card.",
  INSUFFICIENT_FUNDS: "The card does not cover the amount. Nothing was charged. Please try another card.",
  ORDER_NOT_ACCEPTED:
    "We cannot accept this order. Nothing was charged. Please ask us if you think that this is wrong.",
  REVIEW_EXPIRED: "We could not look at the order in time. Nothing was charged. Please order again.",
  SERVICE_UNAVAILABLE: "We could not process the order. Nothing was charged. Please try again later.",
  SHIPPING_FAILED: "The order could not be shipped. The amount was not charged.",
  LOST_IN_TRANSIT: "The parcel was lost on its way. The amount was refunded.",
  RETURNED_TO_SENDER: "The parcel could not be delivered and came back to us. The amount is refunded.",
};

const otherText = "The order could not be completed. Nothing was charged.";

/** Longest text that an order takes. */
const maxText = 500;

/** The failure of an order with the text for its reason. */
export function failureFor(reason: string): OrderFailure {
  return { reason, customerMessage: texts[reason] ?? otherText };
}

/** Why an order is rejected after a refusal: a declined card tells more by its decline code. */
export function failureOf({ reason, metadata }: Refusal): OrderFailure {
  if (reason === "PAYMENT_DECLINED" && metadata.decline_code === "insufficient_funds") {
    return failureFor("INSUFFICIENT_FUNDS");
  }
  return failureFor(reason);
}

/** What customers read of an amendment that has not happened, by reason. */
const amendmentTexts: Readonly<Record<string, string>> = {
  AMENDMENT_TOO_LATE: "It was too late to change the order: a part of it is packed already. The order is as it was.",
  OUT_OF_STOCK: "One of the articles is sold out. The order is as it was.",
  UNKNOWN_SKU: "One of the articles is not offered. The order is as it was.",
  TOO_MANY_LOCATIONS: "So many pieces cannot be sent in one order. The order is as it was.",
  PAYMENT_DECLINED: "The card was declined. The order is as it was. Please try another card.",
  INSUFFICIENT_FUNDS: "The card does not cover the difference. The order is as it was. Please try another card.",
  CARD_NEEDED: "The order would cost more, and no card was named for that. The order is as it was.",
  ORDER_ENDED: "The order has ended, or is being cancelled, and was not changed.",
};

/** Refusals of what is packed, leaves or has left. */
const tooLate: ReadonlySet<string> = new Set([
  "ALREADY_PACKED",
  "ALREADY_SHIPPED",
  "PART_FIXED",
  "RESERVATION_ENDED",
  "NOT_CONFIRMED",
]);

/** Why an amendment has not happened, with the text for its reason. */
export function amendmentFailure(reason: string): OrderFailure {
  const customerMessage = amendmentTexts[reason] ?? "The order could not be changed. It is as it was.";
  return { reason, customerMessage };
}

/** The same after a refusal. */
export function amendmentFailureOf(refusal: Refusal): OrderFailure {
  if (tooLate.has(refusal.reason)) return amendmentFailure("AMENDMENT_TOO_LATE");
  return amendmentFailure(failureOf(refusal).reason);
}

/** The failure of an order that was cancelled on request. */
export function cancellation(reason: string): OrderFailure {
  return { reason: "CANCELLED_BY_CUSTOMER", customerMessage: `The order was cancelled: ${reason}`.slice(0, maxText) };
}
