import type { CameBack, Charge, ParcelState, Repayments } from "./order-state.ts";
import { chargesOf } from "./parcel.ts";

/** A return, as far as it is paid back. */
type Repaid = Pick<CameBack, "returnId"> & {
  readonly charges: readonly Charge[];
  readonly isRepaid: boolean;
  readonly isComplete: boolean;
};

/** What has left, and is not paid back as lost. */
const charged: ReadonlySet<string> = new Set(["SHIPPED", "DELIVERED"]);

/**
 * From which payments of an order returns are paid back: from the one that was made first, as far as what was captured of it goes. What a
 * return was once to take from which is remembered until it is through, so that others in the same moment change nothing of it. Whatever is
 * more than all of them have is asked of the first, which refuses it.
 */
export function divide(
  returns: readonly CameBack[],
  { parcels, before }: { parcels: readonly ParcelState[]; before: Repayments | undefined },
): Map<string, readonly Charge[]> {
  const free = new Map<number, number>([[0, 0]]);
  const add = (charges: readonly Charge[], sign: 1 | -1) => {
    for (const { payment, amount } of charges) free.set(payment, (free.get(payment) ?? 0) + sign * amount);
  };
  for (const parcel of parcels) if (charged.has(parcel.stage)) add(chargesOf(parcel), 1);
  add(before?.done ?? [], -1);
  const known = Object.entries(before?.underWay ?? {});
  for (const [, charges] of known) add(charges, -1);
  const divided = new Map<string, readonly Charge[]>(known);
  for (const { returnId, amount } of returns) {
    if (divided.has(returnId)) continue;
    const charges = draw(amount, free);
    add(charges, -1);
    divided.set(returnId, charges);
  }
  return divided;
}

function draw(amount: number, free: ReadonlyMap<number, number>): Charge[] {
  let open = amount;
  const charges = [...free]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([payment, has]) => {
      const some = Math.max(0, Math.min(open, has));
      open -= some;
      return some > 0 ? [{ payment, amount: some }] : [];
    });
  if (open === 0) return charges;
  const [first, ...others] = charges[0]?.payment === 0 ? charges : [{ payment: 0, amount: 0 }, ...charges];
  return [{ payment: 0, amount: (first?.amount ?? 0) + open }, ...others];
}

/** What is to be remembered; nothing of an order that has one payment. */
export function remembered(
  returns: readonly Repaid[],
  { parcels, before }: { parcels: readonly ParcelState[]; before: Repayments | undefined },
): Repayments | undefined {
  if (!parcels.some((parcel) => chargesOf(parcel).some(({ payment }) => payment > 0))) return undefined;
  const sums = new Map((before?.done ?? []).map(({ payment, amount }) => [payment, amount]));
  for (const { charges, isRepaid, isComplete } of returns) {
    if (!isComplete || !isRepaid) continue;
    for (const { payment, amount } of charges) sums.set(payment, (sums.get(payment) ?? 0) + amount);
  }
  const underWay = returns
    .filter(({ isComplete }) => !isComplete)
    .map(({ returnId, charges }) => [returnId, [...charges]]);
  return {
    done: [...sums].map(([payment, amount]) => ({ payment, amount })),
    ...(underWay.length > 0 && { underWay: Object.fromEntries(underWay) }),
  };
}
