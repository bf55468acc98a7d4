import type { Adjustment, Prices } from "./order.ts";

/** Which line an adjustment is of, from 0 (of the order as a whole: -1); its kind, its amount as text, whether it is included. */
type AdjustmentJson = [line: number, kind: Adjustment["kind"], amount: string, included: boolean];

/** The adjustments of an order as they are stored. The names lie apart, so that they can be forgotten. */
export interface AdjustmentsJson {
  readonly parts: readonly AdjustmentJson[];
  /** Absent: forgotten. */
  readonly names?: readonly string[];
}

/** How prices lie in a row; undefined or null: there are none but those of the articles. */
export interface PriceColumns {
  readonly adjustments: AdjustmentsJson | undefined | null;
  /** What each line costs with its part of everything, in their order, as text. */
  readonly lineAmounts: readonly string[] | undefined | null;
}

const ofOrder = -1;

/** Prices as the columns hold them. */
export function toPriceColumns(prices: Prices | undefined): PriceColumns {
  if (!prices) return { adjustments: undefined, lineAmounts: undefined };
  const { adjustments, lineAdjustments, lineAmounts } = prices;
  const all = [adjustments, ...lineAdjustments].flatMap((own, index) =>
    own.map((adjustment) => ({ ...adjustment, line: index + ofOrder })),
  );
  return {
    adjustments: {
      parts: all.map(({ line, kind, amount, included }) => [line, kind, String(amount), included]),
      names: all.map(({ name }) => name),
    },
    lineAmounts: lineAmounts.map(String),
  };
}

/** Prices as the domain has them. */
export function toPrices({ adjustments, lineAmounts }: PriceColumns): Prices | undefined {
  if (!adjustments || !lineAmounts) return undefined;
  const prices = {
    adjustments: [] as Adjustment[],
    lineAdjustments: lineAmounts.map((): Adjustment[] => []),
    lineAmounts: lineAmounts.map(BigInt),
  };
  for (const [index, [line, kind, amount, included]] of adjustments.parts.entries()) {
    const name = adjustments.names?.[index] ?? "";
    const own = line === ofOrder ? prices.adjustments : prices.lineAdjustments[line];
    own?.push({ kind, name, amount: BigInt(amount), included });
  }
  return prices;
}
