import type { Adjustment, Order } from "./order.ts";
import type { PricedAdjustment, PricedArticle, PricedArticles } from "./prices.ts";

/** Two parts of something. */
export interface Split<T> {
  readonly kept: T;
  readonly gone: T;
}

/** What a part weighs beside the whole; the whole is not zero. */
interface Ratio {
  readonly kept: bigint;
  readonly whole: bigint;
}

type PricedBefore = Pick<Order, "lines" | "total" | "prices">;

/**
 * An order in two, each with its exact share: of what was added to a line by its pieces, of what was added to the order by what its lines
 * cost, or by their pieces where they cost nothing. Amount by amount both sum to what there was; each is an order that could have been
 * placed so, and is within one minor unit of its share of each line, and of the total. A part without pieces has no lines.
 *
 * @param gone how many pieces of each line are in the second part, by the line's index; absent: none
 */
export function splitOrder(
  { lines, total: { currency }, prices }: PricedBefore,
  gone: ReadonlyMap<number, number>,
): Split<PricedArticles> {
  const parts = lines.map((line, index) => {
    const pieces = { kept: line.quantity - (gone.get(index) ?? 0), gone: gone.get(index) ?? 0 };
    const ratio = ratioOf({ kept: BigInt(pieces.kept), gone: BigInt(pieces.gone) });
    const base = line.unitPrice * BigInt(line.quantity);
    const adjustments = splitAdjustments(prices?.lineAdjustments[index] ?? [], { ratio, base, currency });
    const articleOf = (part: keyof Split<unknown>): PricedArticle => ({
      sku: line.sku,
      quantity: pieces[part],
      unitPrice: { currency, amount: line.unitPrice },
      adjustments: adjustments[part],
    });
    return { kept: articleOf("kept"), gone: articleOf("gone") };
  });
  const costs = { kept: costOf(parts.map(({ kept }) => kept)), gone: costOf(parts.map((part) => part.gone)) };
  const pieces = { kept: piecesOf(parts.map(({ kept }) => kept)), gone: piecesOf(parts.map((part) => part.gone)) };
  const base = costs.kept + costs.gone;
  const adjustments = splitAdjustments(prices?.adjustments ?? [], {
    ratio: ratioOf(base === 0n ? pieces : costs),
    base,
    currency,
  });
  const orderOf = (part: keyof Split<unknown>): PricedArticles => ({
    lines: parts.map((each) => each[part]).filter(({ quantity }) => quantity > 0),
    adjustments: adjustments[part],
    total: { currency, amount: costs[part] + addedBy(adjustments[part]) },
  });
  return { kept: orderOf("kept"), gone: orderOf("gone") };
}

/**
 * Adjustments in two. Each is what the sum is with it in the kept part, less what it is without it: so sums stay on the same side of zero,
 * however many there are, and so does what is left of a price without the taxes in it.
 *
 * @param base what they are added to; its share is a whole number
 */
function splitAdjustments(
  adjustments: readonly Adjustment[],
  { ratio, base, currency }: { ratio: Ratio; base: bigint; currency: string },
): Split<PricedAdjustment[]> {
  let sum = base;
  let net = adjustments.reduce((all, { included, amount }) => (included ? all : all + amount), base);
  const kept = adjustments.map(({ amount, included }) => {
    const before = included ? net : sum;
    const after = included ? before - amount : before + amount;
    if (included) net = after;
    else sum = after;
    const share = shareOf(after, ratio) - shareOf(before, ratio);
    return included ? -share : share;
  });
  const withAmounts = (amountOf: (adjustment: Adjustment, index: number) => bigint) =>
    adjustments.map((each, index) => ({ ...each, amount: { currency, amount: amountOf(each, index) } }));
  return {
    kept: withAmounts((_, index) => kept[index] ?? 0n),
    gone: withAmounts(({ amount }, index) => amount - (kept[index] ?? 0n)),
  };
}

function ratioOf({ kept, gone }: Split<bigint>): Ratio {
  return { kept, whole: kept + gone };
}

/** The nearest whole number, of two the larger: never less for more, which keeps the sign of what is between two of them. */
function shareOf(amount: bigint, { kept, whole }: Ratio): bigint {
  const twice = 2n * amount * kept + whole;
  const quotient = twice / (2n * whole);
  return twice < 0n && quotient * 2n * whole !== twice ? quotient - 1n : quotient;
}

function costOf(lines: readonly PricedArticle[]): bigint {
  return lines.reduce(
    (sum, { quantity, unitPrice, adjustments }) => sum + unitPrice.amount * BigInt(quantity) + addedBy(adjustments),
    0n,
  );
}

function addedBy(adjustments: readonly PricedAdjustment[]): bigint {
  return adjustments.reduce((sum, { included, amount }) => (included ? sum : sum + amount.amount), 0n);
}

function piecesOf(lines: readonly PricedArticle[]): bigint {
  return lines.reduce((sum, { quantity }) => sum + BigInt(quantity), 0n);
}
