import { charge, type Hold, spread } from "./charges.ts";
import type { Allocation, Money, OrderLine } from "./order/order-types.ts";
import { planParcels } from "./order/parcel-plan.ts";
import { type Charge, firstCredit, holdBeside, isCredit, type ParcelState } from "./order-state.ts";
import { chargesOf } from "./parcel.ts";

/** What an amendment is planned from. */
export interface AmendmentWish {
  /** Counts the amendments of the order, from 1. */
  readonly number: number;
  /** All lines of the order from then on. */
  readonly lines: readonly OrderLine[];
  readonly total: Money;
  /** Whether what is not packed goes elsewhere. */
  readonly readdressed: boolean;
}

/** What is firm of the order's stock, as it is and as it will be. */
export interface StockChange {
  readonly before: Allocation[];
  readonly after: Allocation[];
}

/** What becomes of an order by an amendment. */
export interface AmendmentPlan {
  /** Its parcels from then on. */
  readonly parcels: ParcelState[];
  /** Those of now that have to be taken back. */
  readonly concerned: ParcelState[];
  /** What has to be authorized besides, in minor units. */
  readonly more: number;
  /** The same, a payment for each parcel, where they are captured once; none: they are not. */
  readonly holds: readonly Charge[];
  /** What is held too much, of which payments. */
  readonly voids: Charge[];
  /** Whether some parcels stay as they are, because they have left or could not: they cost what they cost. */
  readonly partly: boolean;
}

/** Whether a parcel can be taken back, as far as the saga knows. */
export function isHere({ stage }: Pick<ParcelState, "stage">): boolean {
  return stage === "PLANNED" || stage === "PACKING";
}

/**
 * The parcels of an order after an amendment, and what that takes. Those that can be taken back share what the others leave of the total. What
 * was authorized first is spent first.
 *
 * @returns undefined when the parcels that have left cost more than the order would, or there is none left to cost the rest
 */
export function planAmendment(
  parcels: readonly ParcelState[],
  stock: StockChange,
  wish: AmendmentWish,
): AmendmentPlan | undefined {
  const here = parcels.filter(isHere);
  const fixed = parcels.filter((parcel) => !isHere(parcel));
  const gone = new Set(fixed.map(({ locationId }) => locationId));
  const left = wish.total.amount - sumOf(fixed);
  const movable = stock.after.filter(({ locationId }) => !gone.has(locationId));
  if (left < 0 || (left > 0 && movable.length === 0)) return undefined;
  const total = { currency: wish.total.currency, amount: left };
  const planned = planParcels({ lines: wish.lines, total }, movable).map(
    ({ status: stage, ...parcel }): ParcelState => {
      const known = here.find(({ locationId }) => locationId === parcel.locationId);
      const stays = known && !wish.readdressed && isSame(linesAt(stock.before, parcel.locationId), parcel.lines);
      return stays ? { ...known, amount: parcel.amount } : { ...parcel, stage, generation: wish.number };
    },
  );
  const concerned = here.filter(
    ({ locationId, generation }) =>
      !planned.some((each) => each.locationId === locationId && each.generation === generation),
  );
  const common = { concerned, partly: fixed.length > 0 };
  if (isHeldOnce(here)) {
    const credits = fundsOf(here).filter(({ payment }) => isCredit(payment));
    const numberOf = (index: number) => holdBeside(wish.number, index);
    const { parcels: charged, lacking, unused } = spread(planned, { credits, holds: here.flatMap(holdsOf) }, numberOf);
    const voids = [...credits.filter(({ amount }) => amount > 0), ...unused];
    return { ...common, parcels: [...fixed, ...charged], more: sumOf(lacking), holds: lacking, voids };
  }
  const more = Math.max(0, left - sumOf(here));
  const funds = [...fundsOf(here), ...(more > 0 ? [{ payment: wish.number, amount: more }] : [])];
  const charged = charge(planned, funds);
  const voids = funds.filter(({ amount }) => amount > 0);
  return { ...common, parcels: [...fixed, ...charged], more, holds: [], voids };
}

/** Whether what a card pays for parcels is captured once, or a card pays for none of them. */
function isHeldOnce(parcels: readonly ParcelState[]): boolean {
  const charges = parcels.flatMap(chargesOf).filter(({ payment, amount }) => amount > 0 && !isCredit(payment));
  return charges.every(({ held }) => held !== undefined);
}

function holdsOf(parcel: ParcelState): Hold[] {
  const { locationId } = parcel;
  return chargesOf(parcel).flatMap(({ payment, held }) => (held === undefined ? [] : [{ payment, held, locationId }]));
}

/** What of the stock is at a location. */
export function linesAt(stock: readonly Allocation[], locationId: string): { sku: string; quantity: number }[] {
  return stock.filter((part) => part.locationId === locationId).map(({ sku, quantity }) => ({ sku, quantity }));
}

function isSame(one: { sku: string; quantity: number }[], other: { sku: string; quantity: number }[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ sku, quantity }) => other.some((line) => line.sku === sku && line.quantity === quantity))
  );
}

function sumOf(parcels: readonly { readonly amount: number }[]): number {
  return parcels.reduce((sum, { amount }) => sum + amount, 0);
}

/** What parcels are charged to, by payment: credits first, as what is left of them goes back to a card; then what was made first. */
function fundsOf(parcels: readonly ParcelState[]): Charge[] {
  const sums = new Map<number, number>();
  for (const { payment, amount } of parcels.flatMap(chargesOf)) sums.set(payment, (sums.get(payment) ?? 0) + amount);
  return [...sums].map(([payment, amount]) => ({ payment, amount })).sort((a, b) => rankOf(a) - rankOf(b));
}

function rankOf({ payment }: Charge): number {
  return payment < firstCredit ? payment + firstCredit : payment - firstCredit;
}
