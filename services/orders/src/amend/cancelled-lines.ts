import { lineNotThere, nothingLeft } from "../order/errors.ts";
import type { Order } from "../order/order.ts";
import { splitOrder } from "../order/price-split.ts";
import type { PricedArticles } from "../order/prices.ts";

/** What of a line is cancelled. */
export interface CancelledLine {
  /** Counted from 1. */
  readonly lineNumber: number;
  readonly quantity: number;
}

/**
 * An order without some pieces of its lines, which take their exact share of everything with them.
 *
 * @throws LINE_NOT_THERE, NOTHING_LEFT
 */
export function withoutLines(order: Order, cancelled: readonly CancelledLine[]): PricedArticles {
  const gone = new Map<number, number>();
  for (const { lineNumber, quantity } of cancelled) {
    gone.set(lineNumber - 1, (gone.get(lineNumber - 1) ?? 0) + quantity);
  }
  for (const [index, quantity] of gone) {
    const has = order.lines[index]?.quantity ?? 0;
    if (has < quantity) throw lineNotThere(index + 1, has);
  }
  const { kept } = splitOrder(order, gone);
  if (kept.lines.length === 0) throw nothingLeft(order.orderId);
  return kept;
}
