import { cardNeeded, currencyMismatch } from "../order/errors.ts";
import type { Money, NewOrder } from "../order/order.ts";
import { newOrderId } from "../order/order-id.ts";

/** What becomes of an exchange: see `ReturnExchangeStatus` in the contract. */
export type ExchangeState = "wanted" | "made" | "refused" | "given_back";

/** What is to be sent for articles that come back, as it was asked for. */
export interface WantedExchange extends Pick<NewOrder, "lines" | "total" | "prices"> {
  /** Of the card that pays what it costs more; empty: none. */
  readonly cardToken: string;
}

/** The same with what became of it. */
export interface ReturnExchange extends WantedExchange {
  readonly state: ExchangeState;
  /** The order that is sent, or is to be; empty until the articles have come, and when there never is to be one. */
  readonly orderId: string;
  /** What of the amount of the return pays it, in minor units; 0 until the articles have come. */
  readonly credit: bigint;
  /** Why it is refused, upper snake case; empty otherwise. */
  readonly reason: string;
}

/**
 * An exchange as it begins.
 *
 * @param worth what the articles seem to be worth
 * @returns CURRENCY_MISMATCH, CARD_NEEDED as values
 */
export function newExchange(wanted: WantedExchange, orderId: string, worth: Money): ReturnExchange | Error {
  const { total, cardToken } = wanted;
  if (total.currency !== worth.currency) return currencyMismatch([total.currency, worth.currency]);
  if (total.amount > worth.amount && cardToken === "") {
    return cardNeeded(orderId, { total: worth, amended: total.amount });
  }
  return { ...wanted, state: "wanted", orderId: "", credit: 0n, reason: "" };
}

/**
 * The same once the articles have come: what they are worth pays it, as far as that goes.
 *
 * @param worth what would be paid back, in minor units
 */
export function settledExchange(exchange: ReturnExchange, customerId: string, worth: bigint): ReturnExchange {
  const { total, cardToken, state } = exchange;
  if (state !== "wanted") return exchange;
  if (total.amount > worth && cardToken === "") return refusedExchange(exchange, "CARD_NEEDED");
  const credit = total.amount < worth ? total.amount : worth;
  return { ...exchange, orderId: newOrderId(customerId), credit };
}

/** The same once its order is placed: that has what it needs of it. */
export function madeExchange(exchange: ReturnExchange): ReturnExchange {
  return { ...bare(exchange), state: "made" };
}

/** The same when there never will be one. */
export function refusedExchange(exchange: ReturnExchange, reason: string): ReturnExchange {
  return { ...bare(exchange), state: "refused", reason };
}

/** Nobody needs the card any more, nor what it was made of. */
function bare(exchange: ReturnExchange): ReturnExchange {
  return { ...exchange, cardToken: "", prices: undefined };
}
