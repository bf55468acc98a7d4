import { OrderErrorReason } from "#gen/shop/orders/v1/order_error_reason_pb.js";
import { apportion } from "#platform/money/apportion.ts";
import { currencyMismatch, OrderError } from "./errors.ts";
import type { Adjustment, Money, Prices } from "./order.ts";

/** The most that an order may cost, in minor units: what Money allows in the contract. */
export const maxTotal = 1_000_000_000_000n;

/** An adjustment as the caller names it, with a currency of its own. */
export type PricedAdjustment = Omit<Adjustment, "amount"> & { readonly amount: Money };

/** An article as the caller names it, with a currency of its own. */
export interface PricedLine {
  readonly quantity: number;
  readonly unitPrice: Money;
  readonly adjustments: readonly PricedAdjustment[];
}

/** An article that is to be paid, by its name. */
export interface PricedArticle extends PricedLine {
  readonly sku: string;
}

/** What is to be paid, as the caller has computed it. */
export interface PricedOrder {
  readonly lines: readonly PricedLine[];
  readonly adjustments: readonly PricedAdjustment[];
  /** Undefined: it was not given. */
  readonly total: Money | undefined;
}

/** The same with the names of its articles. */
export interface PricedArticles extends PricedOrder {
  readonly lines: readonly PricedArticle[];
}

/** What an order costs. */
export interface Price {
  readonly total: Money;
  /** Undefined: nothing but the prices of its articles. */
  readonly prices: Prices | undefined;
}

/**
 * Sums an order, and sees to it that it is what the caller has summed.
 *
 * What is of the order as a whole, shipping too, is spread over the lines in proportion to what they cost: so each piece has its
 * part, and what of it is captured, voided or refunded does not depend on which parcel leaves first.
 *
 * @throws CURRENCY_MISMATCH, TOTAL_TOO_LARGE, TOTAL_MISMATCH, BELOW_ZERO
 */
export function priceOf(order: PricedOrder): Price {
  const { lines, adjustments, total: given } = order;
  const currency = currencyOf(order);
  const isAdjusted = adjustments.length > 0 || lines.some((line) => line.adjustments.length > 0);
  const costs = lines.map((line) => line.unitPrice.amount * BigInt(line.quantity) + added(line.adjustments));
  const total = { currency, amount: costs.reduce((sum, cost) => sum + cost, added(adjustments)) };
  if (isAdjusted) {
    for (const [index, { adjustments: own }] of lines.entries()) {
      mustHold({ field: `lines[${index}]`, currency, amount: costs[index] ?? 0n }, own);
    }
    mustHold({ field: "total", ...total }, adjustments);
  }
  if (total.amount > maxTotal) throw tooLarge();
  if (given ? given.amount !== total.amount : isAdjusted) throw mismatch(given, total);
  return { total, prices: isAdjusted ? pricesOf(order, costs, total.amount) : undefined };
}

function currencyOf({ lines, adjustments, total }: PricedOrder): string {
  const currencies = new Set(total && [total.currency]);
  for (const { unitPrice, adjustments: own } of lines) {
    currencies.add(unitPrice.currency);
    for (const { amount } of own) currencies.add(amount.currency);
  }
  for (const { amount } of adjustments) currencies.add(amount.currency);
  const [currency] = currencies;
  if (currency !== undefined && currencies.size === 1) return currency;
  throw currencyMismatch([...currencies]);
}

/** What is not in the prices already. */
function added(adjustments: readonly PricedAdjustment[]): bigint {
  return adjustments.reduce((sum, { included, amount }) => (included ? sum : sum + amount.amount), 0n);
}

/** Nothing costs less than nothing, nor less than what is said to be in it. @throws BELOW_ZERO */
function mustHold(
  { field, amount, currency }: Money & { readonly field: string },
  adjustments: readonly PricedAdjustment[],
): void {
  const included = adjustments.reduce((sum, each) => (each.included ? sum + each.amount.amount : sum), 0n);
  const left = amount - included;
  if (left >= 0n) return;
  const taxes = included === 0n ? "" : ` without the taxes of ${included} that are included`;
  const message = `${field} is ${left} minor units of ${currency}${taxes}, and must not be below zero`;
  throw new OrderError(OrderErrorReason.BELOW_ZERO, message, { field, amount: String(left), currency });
}

function tooLarge(): Error {
  const message = `an order may cost at most ${maxTotal} minor units`;
  return new OrderError(OrderErrorReason.TOTAL_TOO_LARGE, message, { maximum: String(maxTotal) });
}

function mismatch(given: Money | undefined, { amount, currency }: Money): Error {
  const what = given
    ? `the total that was given is ${given.amount}`
    : "an order with adjustments has to have its total";
  const message = `lines and adjustments sum to ${amount} minor units of ${currency}, ${what}`;
  const metadata = { total: given ? String(given.amount) : "", sum: String(amount), currency };
  return new OrderError(OrderErrorReason.TOTAL_MISMATCH, message, metadata);
}

/** Of lines that cost nothing each piece has the same part. */
function pricesOf({ lines, adjustments }: PricedOrder, costs: readonly bigint[], total: bigint): Prices {
  const isFree = costs.every((cost) => cost === 0n);
  const weights = isFree ? lines.map(({ quantity }) => BigInt(quantity)) : costs;
  return {
    adjustments: adjustments.map(toAdjustment),
    lineAdjustments: lines.map((line) => line.adjustments.map(toAdjustment)),
    lineAmounts: apportion(weights, total),
  };
}

function toAdjustment({ kind, name, amount, included }: PricedAdjustment): Adjustment {
  return { kind, name, amount: amount.amount, included };
}
