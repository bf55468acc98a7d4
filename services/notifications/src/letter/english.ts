import type { Words } from "./words.ts";

/** Why an order came to nothing, by its reason. */
const reasons: Readonly<Record<string, string>> = {
  OUT_OF_STOCK: "One of the articles is sold out.",
  HOLD_EXPIRED: "One of the articles was sold out before the order could be completed.",
  UNKNOWN_SKU: "One of the articles is no longer offered.",
  TOO_MANY_LOCATIONS: "So many pieces cannot be sent in one order. Please order fewer of them.",
  PAYMENT_DECLINED: "The card was declined. Please try another card.",
  INSUFFICIENT_FUNDS: "The card does not cover the amount. Please try another card.",
  ORDER_NOT_ACCEPTED: "We cannot accept this order. Please ask us if you think that this is wrong.",
  REVIEW_EXPIRED: "We could not look at the order in time. Please order again.",
  SERVICE_UNAVAILABLE: "We could not process the order. Please try again later.",
  SHIPPING_FAILED: "The order could not be shipped.",
  LOST_IN_TRANSIT: "It was lost on its way.",
  RETURNED_TO_SENDER: "It could not be delivered and came back to us.",
};

/** English. */
export const english: Words = {
  greeting: (name) => (name === "" ? "Hello," : `Hello ${name},`),
  closing: (shopName) => `Kind regards, ${shopName}`,
  letters: {
    order_confirmed: ({ orderId, day, total }) => ({
      subject: `Your order ${orderId} is confirmed`,
      paragraphs: [
        `Thank you. Your order ${orderId} of ${day} is confirmed. It comes to ${total}.`,
        "We pack for you:",
      ],
      lists: "order",
    }),
    order_delayed: ({ orderId }) => ({
      subject: `Your order ${orderId} will take longer`,
      paragraphs: [
        `Something that you ordered with ${orderId} is not in stock. Your order waits until it is, and we tell you then.`,
        "Nothing is charged until then. You may cancel the order at any time.",
      ],
    }),
    order_changed: ({ orderId, total, isCut }) => ({
      subject: isCut ? `A part of your order ${orderId} is not available` : `Your order ${orderId} has changed`,
      paragraphs: [
        isCut
          ? `Not all that you ordered with ${orderId} was there. What is missing is not charged.`
          : `Your order ${orderId} was changed.`,
        `It comes to ${total} from now on, and consists of:`,
      ],
      lists: "order",
    }),
    order_rejected: ({ orderId, reason }) => ({
      subject: `Your order ${orderId} could not be accepted`,
      paragraphs: [`Your order ${orderId} has not come about. ${reasons[reason] ?? ""}`.trim(), "Nothing was charged."],
    }),
    order_cancelled: ({ orderId, reason }) => ({
      subject: `Your order ${orderId} is cancelled`,
      paragraphs: [
        `Your order ${orderId} is cancelled. ${reasons[reason] ?? ""}`.trim(),
        "What was charged for it is paid back, and what was held on your card is released.",
      ],
    }),
    parcel_shipped: ({ orderId, tracking, isOnlyParcel }) => ({
      subject: isOnlyParcel ? `Your order ${orderId} is on its way` : `A parcel of your order ${orderId} is on its way`,
      paragraphs: [
        `${isOnlyParcel ? "Your order" : "A parcel of your order"} ${orderId} has left.`,
        tracking === "" ? "" : `The carrier's number is ${tracking}.`,
        "It contains:",
      ],
      lists: "parcel",
    }),
    parcel_delivered: ({ orderId, tracking, isOnlyParcel }) => ({
      subject: isOnlyParcel ? `Your order ${orderId} has arrived` : `A parcel of your order ${orderId} has arrived`,
      paragraphs: [
        tracking === "" ? "The carrier has delivered it." : `The carrier has delivered the parcel ${tracking}.`,
        "It contained:",
      ],
      lists: "parcel",
    }),
    parcel_lost: ({ orderId, amount }) => ({
      subject: `A parcel of your order ${orderId} was lost`,
      paragraphs: [
        `A parcel of your order ${orderId} was lost on its way. We are sorry.`,
        amount === "" ? "What it cost is paid back." : `We pay back ${amount}.`,
      ],
      lists: "parcel",
    }),
    payment_refunded: ({ orderId, amount }) => {
      const what = amount === "" ? "an amount" : amount;
      return {
        subject: `We have paid back ${what} for your order ${orderId}`,
        paragraphs: [
          `We have paid back ${what} for your order ${orderId}, to the card that paid.`,
          "It may take some days until your bank shows it.",
        ],
      };
    },
    return_received: ({ orderId, amount, pieces }) => ({
      subject: `What you sent back of your order ${orderId} has arrived`,
      paragraphs: [
        pieces === 1
          ? `One piece of your order ${orderId} has come back to us.`
          : `${pieces} pieces of your order ${orderId} have come back to us.`,
        amount === ""
          ? ""
          : `They are worth ${amount} to you, which is paid back, or used for what you wanted instead.`,
      ],
    }),
  },
};
