import { apportion } from "#platform/money/apportion.ts";
import { lineNotThere, nothingLeft } from "../order/errors.ts";
import type { Adjustment, Order } from "../order/order.ts";
import type { PricedAdjustment, PricedArticle, PricedArticles } from "../order/prices.ts";

/** What of a line is cancelled. */
export interface CancelledLine {
  /** Counted from 1. */
  readonly lineNumber: number;
  readonly quantity: number;
}

/** What is kept of something, beside what goes; none below zero. */
interface Split {
  readonly kept: bigint;
  readonly gone: bigint;
}

/**
 * An order without some pieces of its lines. Whatever was added to a line or to the order as a whole is kept in proportion: of a line by its
 * pieces, of the order by what its lines cost, or by their pieces where they cost nothing.
 *
 * @throws LINE_NOT_THERE, NOTHING_LEFT
 */
export function withoutLines(order: Order, cancelled: readonly CancelledLine[]): PricedArticles {
  const gone = new Map<number, number>();
  for (const { lineNumber, quantity } of cancelled) gone.set(lineNumber, (gone.get(lineNumber) ?? 0) + quantity);
  for (const [lineNumber, quantity] of gone) {
    const has = order.lines[lineNumber - 1]?.quantity ?? 0;
    if (has < quantity) throw lineNotThere(lineNumber, has);
  }
  const { currency } = order.total;
  const all = order.lines.map(({ sku, quantity, unitPrice }, index) => {
    const own = order.prices?.lineAdjustments[index] ?? [];
    const left = quantity - (gone.get(index + 1) ?? 0);
    const split = { kept: BigInt(left), gone: BigInt(quantity - left) };
    const adjustments = own.map((adjustment) => keptOf(adjustment, split, currency));
    const line: PricedArticle = { sku, quantity: left, unitPrice: { currency, amount: unitPrice }, adjustments };
    return { line, before: unitPrice * BigInt(quantity) + addedBy(own), quantity };
  });
  const lines = all.map(({ line }) => line).filter(({ quantity }) => quantity > 0);
  if (lines.length === 0) throw nothingLeft(order.orderId);
  const before = all.reduce((sum, each) => sum + each.before, 0n);
  const kept = lines.reduce((sum, line) => sum + costOf(line), 0n);
  const pieces = lines.reduce((sum, { quantity }) => sum + quantity, 0);
  const whole = all.reduce((sum, { quantity }) => sum + quantity, 0);
  const isFree = before === 0n;
  const split = isFree
    ? { kept: BigInt(pieces), gone: BigInt(whole - pieces) }
    : { kept, gone: atLeast0(before - kept) };
  const adjustments = (order.prices?.adjustments ?? []).map((adjustment) => keptOf(adjustment, split, currency));
  const amount = adjustments.reduce((sum, each) => (each.included ? sum : sum + each.amount.amount), kept);
  return { lines, adjustments, total: { currency, amount } };
}

function costOf({ quantity, unitPrice, adjustments }: PricedArticle): bigint {
  return adjustments.reduce(
    (sum, { included, amount }) => (included ? sum : sum + amount.amount),
    unitPrice.amount * BigInt(quantity),
  );
}

function addedBy(adjustments: readonly Adjustment[]): bigint {
  return adjustments.reduce((sum, { included, amount }) => (included ? sum : sum + amount), 0n);
}

/** Rounded as the largest remainder is; what is included in a price, down: it is never more than that. */
function keptOf(adjustment: Adjustment, { kept, gone }: Split, currency: string): PricedAdjustment {
  const { amount, included } = adjustment;
  const size = amount < 0n ? -amount : amount;
  const whole = kept + gone;
  const [share = 0n] = whole === 0n ? [size] : included ? [(size * kept) / whole] : apportion([kept, gone], size);
  return { ...adjustment, amount: { currency, amount: amount < 0n ? -share : share } };
}

function atLeast0(amount: bigint): bigint {
  return amount < 0n ? 0n : amount;
}
