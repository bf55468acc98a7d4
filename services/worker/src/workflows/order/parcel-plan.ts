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
  /** What it holds costs this much, in minor units of the order's currency. */
  amount: number;
  /** Empty: there is no shipment. */
  shipmentId: string;
  /** Empty: it is not booked. */
  trackingNumber: string;
  status: "PLANNED";
}

/** What of an article is not assigned to a parcel yet, at one price. */
interface Priced {
  quantity: number;
  unitPrice: number;
}

/**
 * The parcels of an order: one for each location that holds a part of its reservation, in the order of the allocations.
 * Each costs what is in it, at the prices of the order's lines; the amounts always sum to the order's total.
 */
export function planParcels(order: PricedOrder, allocations: Allocation[]): PlannedParcel[] {
  const prices = pricesBySku(order);
  const parcels = new Map<string, PlannedParcel>();
  for (const { sku, locationId, quantity } of allocations) {
    const parcel = parcels.get(locationId) ?? emptyParcel(locationId);
    parcels.set(locationId, parcel);
    parcel.lines.push({ sku, quantity });
    parcel.amount += takePrice(prices.get(sku) ?? [], quantity);
  }
  const planned = [...parcels.values()];
  const amounts = apportion(
    planned.map((parcel) => parcel.amount),
    order.total.amount,
  );
  return planned.map((parcel, index) => ({ ...parcel, amount: amounts[index] ?? 0 }));
}

function emptyParcel(locationId: string): PlannedParcel {
  return { locationId, lines: [], amount: 0, shipmentId: "", trackingNumber: "", status: "PLANNED" };
}

function pricesBySku(order: PricedOrder): Map<string, Priced[]> {
  const prices = new Map<string, Priced[]>();
  for (const { sku, quantity, unitPrice } of order.lines) {
    prices.set(sku, [...(prices.get(sku) ?? []), { quantity, unitPrice }]);
  }
  return prices;
}

/** What the next `quantity` pieces cost; lines of the same article may have different prices. */
function takePrice(left: Priced[], quantity: number): number {
  let amount = 0;
  let open = quantity;
  for (const line of left) {
    const taken = Math.min(line.quantity, open);
    line.quantity -= taken;
    open -= taken;
    amount += taken * line.unitPrice;
  }
  return amount;
}

/**
 * Splits a total in proportion to weights, by the method of the largest remainder, so that the parts sum to the total.
 * When the weights sum to the total, the parts are the weights. Weights of zero share equally.
 */
export function apportion(weights: number[], total: number): number[] {
  if (weights.length === 0) return [];
  const sum = weights.reduce((all, weight) => all + weight, 0);
  if (sum === total) return weights;
  const shares = sum === 0 ? weights.map(() => 1) : weights;
  // Products of two amounts do not fit into a number.
  const whole = BigInt(sum === 0 ? weights.length : sum);
  const products = shares.map((share) => BigInt(share) * BigInt(total));
  const parts = products.map((product) => Number(product / whole));
  const byRemainder = products
    .map((product, index) => ({ index, remainder: product % whole }))
    .sort((a, b) => (a.remainder === b.remainder ? a.index - b.index : a.remainder < b.remainder ? 1 : -1));
  const left = total - parts.reduce((all, part) => all + part, 0);
  for (const { index } of byRemainder.slice(0, left)) parts[index] = (parts[index] ?? 0) + 1;
  return parts;
}
