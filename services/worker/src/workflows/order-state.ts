/** What the worker remembers of an order between its episodes, and what comes with it into one. Plain JSON. */

import type { EpisodeOptions } from "./engine/options.ts";
import type { StepStatus } from "./engine/saga.ts";
import type {
  Address,
  Money,
  OrderFailure,
  OrderLine,
  OrderMove,
  ParcelReport,
  ReturnedPart,
  SagaStage,
  TurnBack,
} from "./order/order-types.ts";

/**
 * How far a parcel has come.
 *
 * - `PLANNED`: it is known what it holds; its shipment may have been created by a workflow that was lost.
 * - `PACKING`: it has a shipment; the warehouse packs it.
 * - `LEAVING`: it is packed, and from here on the order cannot be cancelled; the carrier is to be asked.
 * - `BOOKING`: the carrier was asked and has not decided.
 * - `TAKEN`: the carrier has it; its money and its stock are to be taken.
 * - `DROPPING`: it cannot ship; its money and its stock are to be given back.
 * - `SHIPPED`, `CANCELLED`, `DELIVERED`, `LOST`, `RETURNED`: as the order shows it.
 */
export type ParcelStage =
  | "PLANNED"
  | "PACKING"
  | "LEAVING"
  | "BOOKING"
  | "TAKEN"
  | "DROPPING"
  | "SHIPPED"
  | "CANCELLED"
  | "DELIVERED"
  | "LOST"
  | "RETURNED";

/** What is told of a parcel before it is known whether it arrives. */
export type ParcelNews = "PACKED" | "PACKING_FAILED" | "BOOKED" | "BOOKING_REFUSED" | "CANCELLED";

/** One parcel of an order: what leaves from one location. */
export interface ParcelState {
  locationId: string;
  stage: ParcelStage;
  /** What it holds; absent when a version planned it that forgot it with its shipment. */
  lines?: { sku: string; quantity: number }[];
  /** Its part of the order's total: what it holds costs this much, in minor units of the order's currency. */
  amount: number;
  /** Empty before there is a shipment. */
  shipmentId: string;
  /** Empty before it is booked, and when nobody can track it. */
  trackingNumber: string;
  /** The furthest that was told of it, however early. */
  news?: ParcelNews;
  /** What the carrier reported; kept when it comes early. */
  report?: ParcelReport;
  /** Which of the parcels from there it is: the amendment that it comes from; absent: the first. */
  generation?: number;
  /** Which payments it is charged to; absent: all of it to the first. They sum to its amount. */
  charges?: Charge[];
  /** What came of asking the carrier to turn it back; absent: it was not asked. */
  turnBack?: TurnBack;
  /** The return of all that it holds, empty when nothing of it is to come back; absent: none was made. */
  returnId?: string;
  /** What was paid back of which payments because it was lost; absent: it was not, or what it was charged to. */
  refunds?: Charge[];
}

/** A part of what a parcel costs, in minor units of the order's currency. */
export interface Charge {
  /** The amendment that the payment was made for; 0: the order's own; from {@link firstCredit} on a credit, and behind these a {@link holdBeside}. */
  payment: number;
  amount: number;
  /** What the payment holds, when it is captured once, and so for this parcel alone: what its capture leaves is free. Absent: it is captured in parts. */
  held?: number;
}

/** The number of an order's first credit among its payments; those behind it are credits, too. An order is never amended so often. */
export const firstCredit = 1_000_000;
/** The number behind which those of further holds are: no order has so many credits. */
const firstHold = 2_000_000;
/** No order has so many parcels. */
const mostHolds = 1_000;

/** The number of a payment that is made beside another one, for another parcel; `index` counts them, and 0 is that one. */
export function holdBeside(payment: number, index: number): number {
  return index === 0 ? payment : firstHold + payment * mostHolds + index;
}

/** Whether a payment is a credit. */
export function isCredit(payment: number): boolean {
  return payment >= firstCredit && payment < firstHold;
}

/** One step of a saga, for people. */
export interface StepRecord {
  name: string;
  status: StepStatus;
  /** Milliseconds since 1970. */
  startTime: number;
  /** What it failed with last, while it is to be tried again. */
  error?: string;
}

/** A step that waits for an operator. */
export interface ParkedState {
  step: string;
  /** Of the refusal; upper snake case. */
  reason: string;
  error: string;
  /** It may have had its effect: a retry is the same request. Absent: it is another one. */
  isOpen?: boolean;
}

/** Something that shipping told of a parcel, as `shop.orders.v1.ShipmentNews` names it. */
export interface ParcelEvent {
  locationId: string;
  news: string;
  trackingNumber: string;
  /** Of which of the parcels from there; absent: the first. */
  generation?: number;
}

/** How far an amendment has come that the saga is not through with. */
export interface AmendingState {
  number: number;
  /** Why it is being undone. */
  failure?: OrderFailure;
  /** It has happened: what the order has no more is to be given back. */
  happened?: true;
  /** What is to be voided of which payments. */
  voids?: Charge[];
}

/** What of which payments was paid back for returns, of an order that has several. */
export interface Repayments {
  /** For those that are through. */
  done: Charge[];
  /** For those that are not, by their ids; absent: for none. */
  underWay?: Record<string, Charge[]>;
}

/** All that the saga of an order remembers. Absent: as at the beginning, none, 0. */
export interface SagaState {
  stage: SagaStage;
  /** Where the order was moved to last; absent: it is PENDING. */
  status?: OrderMove;
  /** The latest of its steps. */
  steps: StepRecord[];
  parcels: ParcelState[];
  /** What was told of parcels before they were planned. */
  early?: ParcelEvent[];
  /** Why the order is to be cancelled, when that was accepted. */
  cancelReason?: string;
  failure?: OrderFailure;
  /** The reservation was refused: no later step was ever asked for. */
  nothingReserved?: boolean;
  parked?: ParkedState;
  /** How often an operator had a step asked anew. */
  again?: Record<string, number>;
  /** The steps that operators took care of by other means. */
  resolved?: string[];
  /** Whether it waits for stock: inventory tells when its turn has come. */
  awaitsStock?: boolean;
  /** Whom the order waits for, and for how many episodes in a row. */
  waitsFor?: string;
  tries?: number;
  /** In how many episodes in a row a step was called invalid by its callee. */
  invalid?: Record<string, number>;
  /** The returns that are paid back and of which orders does not know it yet. */
  repaid?: string[];
  /** Absent: it has one payment. */
  repayments?: Repayments;
  /** How many orders its last workflow carried. */
  batchSize?: number;
  /** The amendment that was begun and is not through. */
  amending?: AmendingState;
}

/** Articles that have come back: `shop.sagas.v1.EpisodeReturn`. */
export interface CameBack {
  returnId: string;
  /** What goes back on the shelf. */
  parts: ReturnedPart[];
  /** What is to be paid back, in minor units of the order's currency. */
  amount: number;
  /** Who granted it; absent where it follows from what came. */
  grantedBy?: string;
  /** Where the parcel left from that came back as a whole; absent: articles did. */
  parcelLocationId?: string;
  /** The order that is to be sent for it, and what of the amount is credited to that, in minor units; absent: it is paid back. */
  exchange?: { orderId: string; credit: number };
}

/** A return for which the carrier is to make a label. */
export interface WantedLabel {
  returnId: string;
  /** Where it goes back to. */
  locationId: string;
}

/** What happened to an order: `shop.sagas.v1.EpisodeEvent`. */
export type OrderEvent =
  | { kind: "placed" }
  | ({ kind: "shipment" } & ParcelEvent)
  | { kind: "cancellation"; reason: string }
  | { kind: "decision"; step: string; resolved: boolean }
  | { kind: "retry" }
  | { kind: "amendment" };

/** What a checkout needs besides. */
export interface Checkout {
  lines: OrderLine[];
  address: Address;
  cardToken: string;
  /** Whether it is to be screened first; absent: it is not. */
  screen?: boolean;
  /** Whether it waits in turn when there is less than it wants; absent: it is refused then. */
  backOrder?: boolean;
  /** Whether it gets what is there when there is less than it wants; absent: it does not. */
  shipAvailable?: boolean;
  /** What was asked for, when the order is without what was missing of it; absent: its lines. */
  asked?: { sku: string; quantity: number }[];
}

/** How an order is to be amended. */
export interface Amendment {
  /** Counts the amendments of the order, from 1. */
  number: number;
  /** Whether it has happened, maybe by a workflow that was lost after it. */
  accepted: boolean;
  /** Absent: as before. */
  lines?: OrderLine[];
  total: Money;
  /** Absent: as before. */
  address?: Address;
  /** Of the card that pays what the order costs more; empty: it does not. */
  cardToken: string;
}

/** An order as an episode takes it. */
export interface CarriedOrder {
  orderId: string;
  customerId: string;
  total: Money;
  /** When it was placed, or released by who reviewed it, milliseconds since 1970. */
  createTime: number;
  /** W3C trace context of the call that created the order; empty when its trace is not kept. */
  traceparent: string;
  /** Whether it was CONFIRMED before, maybe by a workflow that was lost. */
  confirmed: boolean;
  /** Which of its episodes this is, from 1: whom the saga asks refuses what an earlier one asks. Absent: orders did not say it. */
  fence?: number;
  /** Absent: its saga begins. */
  saga?: SagaState;
  /** The oldest first. */
  events: OrderEvent[];
  /** Absent once its shipments are created, unless it was amended. */
  checkout?: Checkout;
  /** What of it has come back, and of which stock and money are not back; absent: nothing. */
  returns?: CameBack[];
  /** The amendment with which its saga is not through. */
  amendment?: Amendment;
  /** It was cancelled when parcels of it had left: from where those leave that were not with the customer; absent: it was not. */
  recalled?: string[];
  /** The returns of it for which the carrier is to make labels; absent: none. */
  labels?: WantedLabel[];
  /** What the credits are that pay it, in minor units, because it is sent in exchange; absent: there are none. */
  credits?: number[];
}

/** The input of `carryOrders`. */
export interface CarryOrdersInput {
  orders: CarriedOrder[];
  options: EpisodeOptions;
}

/** The type of the failure with which an episode ends that has not settled all of its orders. */
export const notSettled = "NOT_SETTLED";

/** An order that an episode has not settled because the workflow's code failed with it; the failure's details are these. */
export interface OrderFault {
  orderId: string;
  /** One line, for people. */
  error: string;
}
