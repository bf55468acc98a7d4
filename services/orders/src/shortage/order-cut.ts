import { shortageDecided } from "../order/errors.ts";
import type { Order, OrderLine, Prices, Shortage } from "../order/order.ts";
import { splitOrder } from "../order/price-split.ts";
import { type PricedArticles, priceOf } from "../order/prices.ts";

/** Some pieces of an article that an order does not get. */
export interface MissingLine {
  readonly sku: string;
  readonly quantity: number;
}

/** Articles with what they cost. */
export interface PricedLines {
  readonly lines: readonly OrderLine[];
  readonly total: bigint;
  readonly prices: Prices | undefined;
}

/** What becomes of an order of which something is missing. */
export interface OrderCut {
  /** What it consists of from now on. */
  readonly kept: PricedLines;
  readonly shortage: Pick<Shortage, "lines" | "total">;
  /** What follows in an order of its own; undefined: nothing. */
  readonly rest: PricedLines | undefined;
}

/**
 * An order without what is missing of it, and that as an order of its own where it is to follow: the first pieces that were asked for are there.
 *
 * @throws SHORTAGE_DECIDED when more is missing than it has, or all of it
 */
export function cutOrder(order: Order, missing: readonly MissingLine[]): OrderCut {
  const gone = goneOf(order, missing);
  const { kept, gone: missed } = splitOrder(order, gone);
  if (kept.lines.length === 0) throw shortageDecided(order.orderId);
  const lines = order.lines.map(({ sku, quantity }, index) => ({
    sku,
    asked: quantity,
    there: quantity - (gone.get(index) ?? 0),
  }));
  const follows = order.shortagePolicy === "ship_and_back_order";
  const shortage = { lines, total: order.total };
  return { kept: pricedAs(kept), shortage, rest: follows ? pricedAs(missed) : undefined };
}

/** Whether just this was missing when an order was cut. */
export function isCutBy({ lines }: Pick<Shortage, "lines">, missing: readonly MissingLine[]): boolean {
  const left = new Map<string, number>();
  for (const { sku, asked, there } of lines) left.set(sku, (left.get(sku) ?? 0) + asked - there);
  for (const { sku, quantity } of missing) left.set(sku, (left.get(sku) ?? 0) - quantity);
  return [...left.values()].every((quantity) => quantity === 0);
}

function goneOf({ orderId, lines }: Order, missing: readonly MissingLine[]): Map<number, number> {
  const gone = new Map<number, number>();
  for (const { sku, quantity } of missing) {
    let open = quantity;
    for (const [index, line] of [...lines.entries()].reverse()) {
      if (line.sku !== sku || open === 0) continue;
      const from = Math.min(open, line.quantity);
      gone.set(index, from);
      open -= from;
    }
    if (open > 0) throw shortageDecided(orderId);
  }
  return gone;
}

function pricedAs(articles: PricedArticles): PricedLines {
  const { total, prices } = priceOf(articles);
  const lines = articles.lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice: unitPrice.amount }));
  return { lines, total: total.amount, prices };
}
