import type { ShortagePolicy } from "./back-order-state.ts";

/** Where an order may go next. Anything not listed is refused with ILLEGAL_TRANSITION; an empty list is the end. */
export const transitions = {
  pending: ["confirmed", "rejected", "cancelled"],
  confirmed: ["preparing", "cancelled", "failed"],
  preparing: ["shipped", "cancelled", "failed"],
  shipped: ["delivered", "cancelled", "failed"],
  delivered: [],
  rejected: [],
  cancelled: [],
  failed: [],
} as const satisfies Record<string, readonly string[]>;

/** Where an order stands. */
export type OrderStatus = keyof typeof transitions;

/** Every status, in the order of an order's life. */
export const orderStatuses = Object.keys(transitions) as OrderStatus[];

/** The statuses from which an order may go to `to`. */
export function sourcesOf(to: OrderStatus): OrderStatus[] {
  return orderStatuses.filter((from) => nextOf(from).includes(to));
}

/** Whether nothing leads on from a status. */
export function isTerminal(status: OrderStatus): boolean {
  return nextOf(status).length === 0;
}

/** Whether the saga has given its first answer: the order is confirmed or refused. */
export function isDecided(status: OrderStatus): boolean {
  return status !== "pending";
}

/** Whether there is an answer for who waits for one: the saga's first, that a person has to look, or that stock has to arrive. */
export function isAnswered(order: Pick<Order, "status" | "reviewTime" | "backOrderTime">): boolean {
  const { status, reviewTime, backOrderTime } = order;
  return isDecided(status) || reviewTime !== undefined || backOrderTime !== undefined;
}

/** Whether the order was withdrawn, and everything it held is free. */
export function isCancelled(status: OrderStatus): boolean {
  return status === "cancelled";
}

function nextOf(status: OrderStatus): readonly OrderStatus[] {
  return transitions[status];
}

/** Minor units of an ISO 4217 currency. */
export interface Money {
  readonly currency: string;
  readonly amount: bigint;
}

/** One article of an order; the price of one is in the currency of the order's total, in minor units. */
export interface OrderLine {
  readonly sku: string;
  readonly quantity: number;
  readonly unitPrice: bigint;
}

/** What a line or an order costs more or less than its articles, in minor units of the total's currency. */
export interface Adjustment {
  readonly kind: "shipping" | "discount" | "tax";
  readonly name: string;
  readonly amount: bigint;
  /** Whether the prices contain it already: then it is shown and not added. */
  readonly included: boolean;
}

/** What an order's total is made of besides the prices of its articles. */
export interface Prices {
  /** Of the order as a whole. */
  readonly adjustments: readonly Adjustment[];
  /** Of each line. */
  readonly lineAdjustments: readonly (readonly Adjustment[])[];
  /** What each line costs with its part of everything; they sum to the total. */
  readonly lineAmounts: readonly bigint[];
}

/** Name and e-mail address of the customer at the time of the order. */
export interface OrderContact {
  readonly givenName: string;
  readonly familyName: string;
  readonly email: string;
}

/** Where an order goes. */
export interface ShippingAddress {
  readonly recipient: string;
  readonly lines: readonly string[];
  readonly city: string;
  readonly postalCode: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
}

/** Where a parcel stands. */
export type ShipmentStatus = "planned" | "shipped" | "delivered" | "cancelled" | "lost" | "returned";

/** What came of asking the carrier to turn a parcel back. */
export type TurnBack = "asked" | "agreed" | "refused";

/** An article in a parcel. */
export interface ShipmentLine {
  readonly sku: string;
  readonly quantity: number;
}

/** One parcel of an order, named by the stock location that it leaves from. */
export interface OrderShipment {
  readonly locationId: string;
  readonly shipmentId: string;
  readonly status: ShipmentStatus;
  readonly amount: Money;
  readonly trackingNumber: string;
  /** What it holds; empty when a version planned it that did not say so. */
  readonly lines: readonly ShipmentLine[];
  /** Undefined: the carrier was not asked to turn it back. */
  readonly turnBack: TurnBack | undefined;
  /** The return that was made for all of it; empty when there is none. */
  readonly returnId: string;
  /** What was paid back of it because it was lost; undefined: it was not, or all of its amount was. */
  readonly refunded: Money | undefined;
}

/** Why an order ended without delivery. */
export interface OrderFailure {
  /** Upper snake case. */
  readonly reason: string;
  /** For the customer, without internals. */
  readonly customerMessage: string;
}

/** What became of an amendment. */
export type AmendmentStatus = "pending" | "accepted" | "refused";

/** The last amendment of an order that was asked for, as its customer sees it. */
export interface OrderAmendment {
  /** Counts the amendments of the order, from 1. */
  readonly number: number;
  readonly status: AmendmentStatus;
  /** Why it was refused. */
  readonly failure: OrderFailure | undefined;
  readonly createTime: Date;
  readonly decideTime: Date | undefined;
}

/** What a cancellation comes to: see `CancellationOutcome` in the contract. */
export type CancellationOutcome = "pending" | "cancelled" | "turning_back" | "return" | "kept";

/** What becomes of an order that somebody has cancelled. */
export interface OrderCancellation {
  readonly outcome: Exclude<CancellationOutcome, "kept">;
  readonly createTime: Date;
  /** Of each parcel; empty when nothing had left. */
  readonly parcels: readonly CancelledParcel[];
}

/** What becomes of one parcel of it. */
export interface CancelledParcel {
  readonly locationId: string;
  readonly outcome: CancellationOutcome;
  /** The return of what it holds; empty when there is none. */
  readonly returnId: string;
}

/** A line of an order of which something was missing. */
export interface ShortLine {
  readonly sku: string;
  /** How many were asked for. */
  readonly asked: number;
  /** How many of them the order got. */
  readonly there: number;
}

/** What was missing of an order, and was taken out of it. */
export interface Shortage {
  /** All lines as they were asked for. */
  readonly lines: readonly ShortLine[];
  /** What it would have cost. */
  readonly total: Money;
  readonly time: Date;
  /** The order that what is missing is to follow in, once this one is confirmed; undefined when it does not, or is made. */
  readonly restId: string | undefined;
  /** The order that it follows in. */
  readonly followedBy: string | undefined;
}

/** For what an order is sent that takes the place of what came back of another one. */
export interface OrderExchange {
  readonly orderId: string;
  readonly returnId: string;
  /** What of its price the return pays. */
  readonly credit: Money;
}

/** A status that the order had, and since when. */
export interface OrderEvent {
  readonly status: OrderStatus;
  readonly time: Date;
}

/** What a caller asks for, checked and summed. */
export interface NewOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly lines: readonly OrderLine[];
  readonly total: Money;
  /** Undefined: the total is that of the articles. */
  readonly prices: Prices | undefined;
  readonly shippingAddress: ShippingAddress;
  readonly cardToken: string;
  readonly shortagePolicy: ShortagePolicy;
  /** W3C trace context of the call; empty when it is not traced. */
  readonly traceparent: string;
}

/** An order as its customer sees it. */
export interface Order extends Omit<NewOrder, "cardToken" | "traceparent"> {
  readonly contact: OrderContact;
  readonly status: OrderStatus;
  readonly sagaId: string;
  readonly shipments: readonly OrderShipment[];
  readonly failure: OrderFailure | undefined;
  /** The oldest first. */
  readonly history: readonly OrderEvent[];
  /** Counts the changes, from 1. */
  readonly revision: number;
  readonly createTime: Date;
  readonly updateTime: Date;
  /** Since when a person is to decide whether it goes on; undefined when nobody is. */
  readonly reviewTime: Date | undefined;
  /** Since when it waits for stock; undefined when it does not. */
  readonly backOrderTime: Date | undefined;
  /** Undefined: there never was one. */
  readonly amendment: OrderAmendment | undefined;
  /** Undefined: no cancellation was accepted. */
  readonly cancellation: OrderCancellation | undefined;
  /** Undefined: nothing was missing, or it was not found out yet. */
  readonly shortage: Shortage | undefined;
  /** The order of which it is the rest; undefined: of none. */
  readonly restOf: string | undefined;
  /** Undefined: it is sent in exchange for nothing. */
  readonly exchangeOf: OrderExchange | undefined;
}

/** Orders that one workflow of the kind before episodes carries, in the order of their ids; repeated with exactly this. */
export interface SagaBatch {
  readonly sagaId: string;
  readonly orders: readonly NewOrder[];
}
