import { Allotment, amountOf, type Lot } from "#platform/money/allotment.ts";
import { apportion } from "#platform/money/apportion.ts";
import type { Allocation, Money, OrderLine } from "./order-types.ts";

/** What parcels are planned from. */
export interface PricedOrder {
  readonly lines: readonly OrderLine[];
  readonly total: Money;
}

/** A parcel that nobody has been told of. */
export interface PlannedParcel {
  locationId: string;
  lines: { sku: string; quantity: number }[];
  /** Its part of the order's total: what it holds costs this much, in minor units of the order's currency. */
  amount: number;
  /** Empty: there is no shipment. */
  shipmentId: string;
  /** Empty: it is not booked. */
  trackingNumber: string;
  status: "PLANNED";
}

/**
 * The parcels of an order: one for each location that holds a part of its reservation, in the order of the allocations.
 * Each costs what is in it, by what the order's lines cost; the amounts always sum to the order's total.
 */
export function planParcels(order: PricedOrder, allocations: Allocation[]): PlannedParcel[] {
  const allotment = new Allotment(order.lines.map(toLot));
  const parcels = new Map<string, PlannedParcel>();
  for (const { sku, locationId, quantity } of allocations) {
    const parcel = parcels.get(locationId) ?? emptyParcel(locationId);
    parcels.set(locationId, parcel);
    parcel.lines.push({ sku, quantity });
    parcel.amount += amountOf(allotment.take(sku, quantity));
  }
  const planned = [...parcels.values()];
  // They sum to it already, unless orders is of a version that says less of prices, or more.
  const amounts = apportion(
    planned.map(({ amount }) => BigInt(amount)),
    BigInt(order.total.amount),
  );
  return planned.map((parcel, index) => ({ ...parcel, amount: Number(amounts[index] ?? 0n) }));
}

function emptyParcel(locationId: string): PlannedParcel {
  return { locationId, lines: [], amount: 0, shipmentId: "", trackingNumber: "", status: "PLANNED" };
}

function toLot({ sku, quantity, unitPrice, amount = quantity * unitPrice }: OrderLine): Lot {
  return { key: sku, quantity, amount };
}
