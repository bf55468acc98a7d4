import type { CameBack, Charge, ParcelState, Repayments } from "./order-state.ts";
import { chargesOf } from "./parcel.ts";

/** A return, as far as it is paid back. */
type Repaid = Pick<CameBack, "returnId"> & {
  readonly charges: readonly Charge[];
  readonly isRepaid: boolean;
  readonly isComplete: boolean;
};

/** What has left. */
const charged: ReadonlySet<string> = new Set(["SHIPPED", "DELIVERED", "RETURNED", "LOST"]);

/**
 * From which payments of an order returns are paid back: from the one that was made first, as far as what was captured of it goes. What a
 * return was once to take from which is remembered until it is through, so that others in the same moment change nothing of it. Whatever is
 * more than all of them have is asked of the first, which refuses it.
 */
export function divide(
  returns: readonly CameBack[],
  { parcels, before }: { parcels: readonly ParcelState[]; before: Repayments | undefined },
): Map<string, readonly Charge[]> {
  const free = freeOf({ parcels, before });
  const divided = new Map<string, readonly Charge[]>(Object.entries(before?.underWay ?? {}));
  for (const { returnId, amount } of returns) {
    if (divided.has(returnId)) continue;
    const charges = draw(amount, free);
    add(free, charges, -1);
    divided.set(returnId, charges);
  }
  return divided;
}

/**
 * From which payments a parcel is paid back that is lost: from those that it was charged to, as far as what came back without it has left
 * anything of them; and from others, where it was paid back from these.
 */
export function divideLoss(
  { parcel, refund }: { readonly parcel: ParcelState; readonly refund: number },
  known: { parcels: readonly ParcelState[]; before: Repayments | undefined; underWay: Iterable<readonly Charge[]> },
): Charge[] {
  const own = chargesOf(parcel);
  if (own.length === 1 && own[0]?.payment === 0) return [{ payment: 0, amount: refund }];
  const free = freeOf(known);
  for (const charges of known.underWay) add(free, charges, -1);
  let open = refund;
  const first = own.flatMap(({ payment, amount }) => {
    const some = Math.max(0, Math.min(open, amount, free.get(payment) ?? 0));
    open -= some;
    return some > 0 ? [{ payment, amount: some }] : [];
  });
  add(free, first, -1);
  return open === 0 ? first : summed([...first, ...draw(open, free)]);
}

/** Each payment once: what a parcel is paid back from one is one refund. */
function summed(charges: readonly Charge[]): Charge[] {
  const sums = new Map<number, number>();
  add(sums, charges, 1);
  return [...sums].map(([payment, amount]) => ({ payment, amount }));
}

/** What of each payment is captured, and not paid back, nor about to be. */
function freeOf({
  parcels,
  before,
}: {
  parcels: readonly ParcelState[];
  before: Repayments | undefined;
}): Map<number, number> {
  const free = new Map<number, number>([[0, 0]]);
  for (const parcel of parcels) {
    if (charged.has(parcel.stage)) add(free, chargesOf(parcel), 1);
    // What was begun to be paid back is not free either.
    const refunds = parcel.stage === "LOST" ? (parcel.refunds ?? chargesOf(parcel)) : (parcel.refunds ?? []);
    add(free, refunds, -1);
  }
  add(free, before?.done ?? [], -1);
  for (const charges of Object.values(before?.underWay ?? {})) add(free, charges, -1);
  return free;
}

function add(free: Map<number, number>, charges: readonly Charge[], sign: 1 | -1): void {
  for (const { payment, amount } of charges) free.set(payment, (free.get(payment) ?? 0) + sign * amount);
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
