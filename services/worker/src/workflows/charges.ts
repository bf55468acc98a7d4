import type { Charge, ParcelState } from "./order-state.ts";

/** A payment that is captured once. */
export interface Hold {
  readonly payment: number;
  /** What it holds, in minor units. */
  readonly held: number;
  /** Where the parcel leaves from that it was made for. */
  readonly locationId: string;
}

/** What parcels are charged to. */
export interface Spread {
  readonly parcels: ParcelState[];
  /** What is to be held besides: each a payment of its own. */
  readonly lacking: Charge[];
  /** What no parcel needs. */
  readonly unused: Charge[];
}

/** Spends funds on parcels; what is left of them stays in them. */
export function charge(parcels: readonly ParcelState[], funds: Charge[]): ParcelState[] {
  return parcels.map(({ charges: _, ...parcel }) => {
    let open = parcel.amount;
    const charges: Charge[] = [];
    for (const fund of funds) {
      const amount = Math.min(open, fund.amount);
      if (amount === 0) continue;
      charges.push({ payment: fund.payment, amount });
      fund.amount -= amount;
      open -= amount;
    }
    return charges.some(({ payment }) => payment > 0) ? { ...parcel, charges } : parcel;
  });
}

/**
 * Gives each parcel payments of its own: what is credited is spent first, then what was held for the parcel, then what was held for others and is not
 * needed there.
 *
 * @param credits what is left of them stays in them
 * @param numberOf the number of the payment that is to be made, by how many are before it
 */
export function spread(
  parcels: readonly ParcelState[],
  { credits, holds }: { readonly credits: Charge[]; readonly holds: readonly Hold[] },
  numberOf: (index: number) => number,
): Spread {
  const left = [...holds];
  const own = charge(parcels, credits).map((parcel) =>
    take(parcel, left, ({ locationId }) => locationId === parcel.locationId),
  );
  const lacking: Charge[] = [];
  const charged = own
    .map((parcel) => take(parcel, left, () => true))
    .map((parcel) => {
      const amount = openOf(parcel);
      if (amount === 0) return parcel;
      const more = { payment: numberOf(lacking.length), amount, held: amount };
      lacking.push(more);
      return withCharge(parcel, more);
    });
  return { parcels: charged, lacking, unused: left.map(({ payment, held }) => ({ payment, amount: held, held })) };
}

/** Charges a parcel to holds that fit, as long as something of it is open, and takes these out of those that are left. */
function take(parcel: ParcelState, left: Hold[], fits: (hold: Hold) => boolean): ParcelState {
  const open = openOf(parcel);
  const index = open > 0 ? left.findIndex(fits) : -1;
  const [hold] = index >= 0 ? left.splice(index, 1) : [];
  if (!hold) return parcel;
  const { payment, held } = hold;
  return take(withCharge(parcel, { payment, amount: Math.min(open, held), held }), left, fits);
}

function withCharge(parcel: ParcelState, more: Charge): ParcelState {
  return { ...parcel, charges: [...(parcel.charges ?? []), more] };
}

/** What of a parcel is charged to nothing. */
function openOf({ amount, charges = [] }: ParcelState): number {
  return charges.reduce((open, each) => open - each.amount, amount);
}
