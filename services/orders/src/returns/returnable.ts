import { Allotment, amountOf, type Lot } from "#platform/money/allotment.ts";
import { apportion } from "#platform/money/apportion.ts";
import type { Adjustment, Order } from "../order/order.ts";
import { hasCome, isExpected, type OrderReturn, type ReturnLine } from "./order-return.ts";

/** What of an order says what may come back, and for how much. */
export type DeliveredOrder = Pick<Order, "lines" | "prices" | "total" | "shipments">;

/** Some of a line of an order. */
export interface LineQuantity {
  /** From 1. */
  readonly lineNumber: number;
  readonly quantity: number;
}

/** Some of a line, and what it has cost. */
export interface PricedQuantity extends LineQuantity {
  /** With its part of everything; minor units. */
  readonly amount: bigint;
  /** What of that is for shipping. */
  readonly shipping: bigint;
}

/** What has to be known of the returns of an order. */
type KnownReturn = Pick<OrderReturn, "status" | "lines" | "amount">;

/**
 * What of an order left and was delivered, and what each piece of it has cost: the parcels' exact parts of the total. What is paid for pieces
 * is what all that came back so far has cost, less what was paid for it; so whatever comes in whatever portions, and whichever parcels are
 * known by then, it sums to what was charged, and never to more.
 */
export class Returnable {
  readonly #skus: readonly string[];
  readonly #lots: LeftLots;
  readonly #came: readonly ReturnLine[];
  readonly #expected: readonly ReturnLine[];
  /** What was charged for what left and was not lost, and is not paid back, nor about to be. */
  readonly refundable: bigint;
  /** What was charged for what left and was not lost, less what that was worth which came back, and what was granted for the rest. */
  readonly unreturned: bigint;

  /** @param returns all of the order */
  constructor(order: DeliveredOrder, returns: readonly KnownReturn[]) {
    this.#skus = order.lines.map(({ sku }) => sku);
    this.#lots = leftLots(order);
    const came = returns.filter(({ status }) => hasCome(status));
    this.#came = came.flatMap(({ lines }) => lines);
    const charged = order.shipments.filter(hasLeft).reduce((sum, { amount }) => sum + amount.amount, 0n);
    this.refundable = atLeastZero(charged - came.reduce((sum, { amount }) => sum + amount.amount, 0n));
    this.unreturned = atLeastZero(charged - came.reduce((sum, each) => sum + worthOf(each), 0n));
    this.#expected = returns.filter(({ status }) => isExpected(status)).flatMap(({ lines }) => lines);
  }

  /** Whether anything was delivered, as far as is known. */
  get isDelivered(): boolean {
    return this.#lots.delivered.length > 0;
  }

  /** The article of a line; undefined when the order has no such line. */
  skuOf(lineNumber: number): string | undefined {
    return this.#skus[lineNumber - 1];
  }

  /** How many of a line may be asked for: what was delivered, and neither came back nor is to. */
  askable(lineNumber: number): number {
    const announced = sumOf(this.#expected, lineNumber, ({ quantity }) => quantity);
    return quantityOf(this.#lots.delivered, lineNumber) - this.#received(lineNumber) - announced;
  }

  /** How many of a line may come: what left, delivered or not, and what is announced by other returns, too. What is there is there. */
  comeable(lineNumber: number): number {
    return quantityOf(this.#lots.amounts, lineNumber) - this.#received(lineNumber);
  }

  /** How many of a line may be announced to come: what left, and neither came back nor is to. */
  announceable(lineNumber: number): number {
    return this.comeable(lineNumber) - sumOf(this.#expected, lineNumber, ({ quantity }) => quantity);
  }

  /** What of which lines a parcel holds that left; nothing when that is not known. */
  heldBy(locationId: string): LineQuantity[] {
    const lots = this.#lots.parcels.get(locationId) ?? [];
    const lineNumbers = [...new Set(lots.map(({ key }) => Number(key)))].sort((one, other) => one - other);
    return lineNumbers.map((lineNumber) => ({ lineNumber, quantity: quantityOf(lots, lineNumber) }));
  }

  /** What pieces have cost that come next. */
  price(wanted: readonly LineQuantity[]): PricedQuantity[] {
    const amounts = new Allotment(this.#lots.amounts);
    const shipping = new Allotment(this.#lots.shipping);
    return wanted.map(({ lineNumber, quantity }) => {
      const key = keyOf(lineNumber);
      const before = this.#received(lineNumber);
      const paid = this.#came.reduce((sum, line) => (line.lineNumber === lineNumber ? sum + line.amount : sum), 0n);
      const amount = atLeastZero(BigInt(amountOf(amounts.take(key, before + quantity))) - paid);
      shipping.take(key, before);
      const of = BigInt(amountOf(shipping.take(key, quantity)));
      // Each is rounded by itself.
      return { lineNumber, quantity, amount, shipping: of < amount ? of : amount };
    });
  }

  #received(lineNumber: number): number {
    return sumOf(this.#came, lineNumber, ({ received }) => received);
  }
}

/** What came is worth what it has cost, whatever of that was kept. */
function worthOf({ lines, amount }: KnownReturn): bigint {
  return lines.length === 0 ? amount.amount : lines.reduce((sum, line) => sum + line.amount, 0n);
}

function sumOf(lines: readonly ReturnLine[], lineNumber: number, of: (line: ReturnLine) => number): number {
  return lines.reduce((sum, line) => (line.lineNumber === lineNumber ? sum + of(line) : sum), 0);
}

function quantityOf(lots: readonly Lot[], lineNumber: number): number {
  return lots.reduce((sum, { key, quantity }) => (key === keyOf(lineNumber) ? sum + quantity : sum), 0);
}

function keyOf(lineNumber: number): string {
  return String(lineNumber);
}

/** What left of an order and was not lost, by line, in the order of the parcels. */
interface LeftLots {
  readonly amounts: readonly Lot[];
  /** The same pieces, with what of their amounts is for shipping. */
  readonly shipping: readonly Lot[];
  /** Those that arrived. */
  readonly delivered: readonly Lot[];
  /** By the location that they left from. */
  readonly parcels: ReadonlyMap<string, readonly Lot[]>;
}

/** Nothing when parcels went astray of which it is not known what they held. */
function leftLots(order: DeliveredOrder): LeftLots {
  const { shipments } = order;
  const parcels = shipments.every(({ lines }) => lines.length > 0) ? shipments : onlyParcelOf(order);
  const costs = lineCosts(order);
  const pieces = new LinePieces(order, costs.amounts);
  const fees = new LinePieces(order, costs.shipping);
  const parts = parcels.map(({ locationId, lines, status, amount }) => ({
    locationId,
    status,
    amounts: charged(
      lines.flatMap(({ sku, quantity }) => pieces.take(sku, quantity)),
      amount.amount,
    ),
    shipping: lines.flatMap(({ sku, quantity }) => fees.take(sku, quantity)),
  }));
  const left = parts.filter(hasLeft);
  return {
    amounts: left.flatMap(({ amounts }) => amounts),
    shipping: left.flatMap(({ shipping }) => shipping),
    delivered: left.flatMap(({ status, amounts }) => (status === "delivered" ? amounts : [])),
    parcels: new Map(left.map(({ locationId, amounts }) => [locationId, amounts])),
  };
}

function hasLeft({ status }: Pick<Order["shipments"][number], "status">): boolean {
  return status === "shipped" || status === "delivered" || status === "returned";
}

type Parcel = Pick<Order["shipments"][number], "locationId" | "status" | "amount" | "lines">;

/** An order of which all parcels left was sent as it was ordered, whatever each of them held; and so it was delivered. */
function onlyParcelOf({ lines, shipments, total }: DeliveredOrder): Parcel[] {
  if (shipments.length === 0 || !shipments.every(hasLeft)) return [];
  const all = lines.map(({ sku, quantity }) => ({ sku, quantity }));
  const isUnderWay = shipments.some(({ status }) => status === "shipped");
  // Of several parcels it is not known which holds what.
  const locationId = shipments.length === 1 ? (shipments[0]?.locationId ?? "") : "";
  return [{ locationId, status: isUnderWay ? "shipped" : "delivered", amount: total, lines: all }];
}

/** What a parcel holds costs what was captured for it. It does already, unless it was planned by another version. */
function charged(lots: readonly Lot[], amount: bigint): Lot[] {
  const parts = apportion(
    lots.map((lot) => BigInt(lot.amount)),
    lots.length === 0 ? 0n : amount,
  );
  return lots.map((lot, index) => ({ ...lot, amount: Number(parts[index] ?? 0n) }));
}

/** What each line costs with its part of everything, and what of that is for shipping: its own, and its part of the order's. */
function lineCosts({ lines, prices }: DeliveredOrder): { amounts: bigint[]; shipping: bigint[] } {
  const amounts = lines.map(
    ({ quantity, unitPrice }, index) => prices?.lineAmounts[index] ?? unitPrice * BigInt(quantity),
  );
  const goods = amounts.map((amount, index) => atLeastZero(amount - feesOf(prices?.lineAdjustments[index] ?? [])));
  const all = goods.reduce((sum, amount) => sum + amount, 0n);
  const kept = all === 0n ? goods : apportion(goods, atLeastZero(all - feesOf(prices?.adjustments ?? [])));
  return { amounts, shipping: amounts.map((amount, index) => amount - (kept[index] ?? 0n)) };
}

function feesOf(adjustments: readonly Adjustment[]): bigint {
  return adjustments.reduce((sum, { kind, amount }) => (kind === "shipping" ? sum + amount : sum), 0n);
}

/** The lesser of two amounts. */
export function lesser(one: bigint, other: bigint): bigint {
  if (one < other) return one;
  return other;
}

function atLeastZero(amount: bigint): bigint {
  return amount < 0n ? 0n : amount;
}

/** Hands out pieces of an order by their article, and says of which lines they are: lines of the same article are used up in their order. */
class LinePieces {
  readonly #allotment: Allotment;
  readonly #left: { readonly sku: string; readonly key: string; quantity: number }[];

  constructor({ lines }: DeliveredOrder, amounts: readonly bigint[]) {
    const keyed = lines.map(({ sku, quantity }, index) => ({ sku, quantity, key: keyOf(index + 1) }));
    this.#left = keyed;
    this.#allotment = new Allotment(
      keyed.map(({ key, quantity }, index) => ({ key, quantity, amount: Number(amounts[index] ?? 0n) })),
    );
  }

  take(sku: string, quantity: number): Lot[] {
    const taken: Lot[] = [];
    let open = quantity;
    for (const line of this.#left) {
      const count = line.sku === sku ? Math.min(line.quantity, open) : 0;
      if (count === 0) continue;
      line.quantity -= count;
      open -= count;
      taken.push(...this.#allotment.take(line.key, count));
    }
    return taken;
  }
}
