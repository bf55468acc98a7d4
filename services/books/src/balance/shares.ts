import { Allotment, amountOf, type Lot } from "#platform/money/allotment.ts";
import type { EndedOrder } from "./finding.ts";
import type { StockOfOrder } from "./stock.ts";

/** What is wrong with what the parcels of an order cost: each its exact part of the total, nothing more and nothing less. */
export function faultOfShares(order: EndedOrder, stock: StockOfOrder | undefined): string | undefined {
  const { orderId, total, shipments, lots } = order;
  if (shipments.length === 0) return undefined;
  const sum = shipments.reduce((all, { amount }) => all + BigInt(amount), 0n);
  if (sum !== total) return `order ${orderId}: its parcels cost ${sum}, it costs ${total}`;
  if (!lots) return undefined;
  if (BigInt(amountOf(lots)) !== total) return `order ${orderId}: its lines cost ${amountOf(lots)}, it costs ${total}`;
  const shares = sharesOf(lots, stock?.promised ?? []);
  const wrong = shipments.find(({ locationId, amount }) => Number(amount) !== (shares.get(locationId) ?? 0));
  return (
    wrong &&
    `order ${orderId}: its parcel from ${wrong.locationId} costs ${wrong.amount}, its part of the total is ${shares.get(wrong.locationId) ?? 0}`
  );
}

/** Location → what its parcel costs, as they were planned: from the parts of the reservation by article and location. */
export function sharesOf(lots: readonly Lot[], promised: StockOfOrder["promised"]): ReadonlyMap<string, number> {
  const allotment = new Allotment(lots);
  const shares = new Map<string, number>();
  for (const { sku, locationId, quantity } of promised.toSorted(byLevel)) {
    shares.set(locationId, (shares.get(locationId) ?? 0) + amountOf(allotment.take(sku, quantity)));
  }
  return shares;
}

type Part = StockOfOrder["promised"][number];

/** The order in which inventory keeps them. */
function byLevel(one: Part, other: Part): number {
  if (one.sku !== other.sku) return one.sku < other.sku ? -1 : 1;
  return one.locationId < other.locationId ? -1 : 1;
}
