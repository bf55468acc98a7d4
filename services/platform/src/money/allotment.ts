/** Pieces of the same kind that cost something together. */
export interface Lot {
  /** What they are. */
  readonly key: string;
  /** How many. */
  readonly quantity: number;
  /** What all of them cost, in minor units; not below zero. */
  readonly amount: number;
}

/** What of a lot has been handed out. */
interface OpenLot extends Lot {
  taken: number;
}

/**
 * Hands out pieces of lots, each with its exact part of the money. A part is what the pieces so far cost together with it, less
 * what they cost without it; so parts sum to the whole over any split, whatever is asked for first and in however many
 * portions, and none is further from its exact share than one minor unit of each lot that it has pieces of. What was handed
 * out is lots again: a parcel is an allotment of an order's lines, a return one of a parcel's.
 */
export class Allotment {
  readonly #lots = new Map<string, OpenLot[]>();

  /** @throws RangeError for a lot without pieces, and for a quantity or an amount that is below zero or not a whole number */
  constructor(lots: Iterable<Lot>) {
    for (const lot of lots) {
      if (!isWhole(lot.quantity, 1) || !isWhole(lot.amount, 0)) {
        throw new RangeError(`${lot.quantity} pieces for ${lot.amount} cannot be handed out`);
      }
      const same = this.#lots.get(lot.key);
      const open = { ...lot, taken: 0 };
      if (same) same.push(open);
      else this.#lots.set(lot.key, [open]);
    }
  }

  /**
   * The next pieces of a kind, from the lots in their order; fewer when there are no more.
   *
   * @returns of each lot what comes from it
   */
  take(key: string, quantity: number): Lot[] {
    const parts: Lot[] = [];
    let open = quantity;
    for (const lot of this.#lots.get(key) ?? []) {
      const count = Math.min(lot.quantity - lot.taken, open);
      if (count <= 0) continue;
      const amount = costOf(lot, lot.taken + count) - costOf(lot, lot.taken);
      parts.push({ key, quantity: count, amount });
      lot.taken += count;
      open -= count;
    }
    return parts;
  }
}

/** What all these cost together. */
export function amountOf(lots: readonly Lot[]): number {
  return lots.reduce((sum, { amount }) => sum + amount, 0);
}

/**
 * What the first `count` pieces of a lot cost: their exact share, rounded down. The whole units for each piece are set apart first, so
 * that no product is larger than a number holds exactly.
 */
function costOf({ quantity, amount }: Lot, count: number): number {
  const rest = amount % quantity;
  return ((amount - rest) / quantity) * count + Math.floor((rest * count) / quantity);
}

function isWhole(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least;
}
