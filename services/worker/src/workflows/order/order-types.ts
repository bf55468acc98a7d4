/**
 * What an order is made of, as it crosses the border of a workflow: plain JSON, because the payload converter serializes
 * neither `bigint` nor protobuf-es messages. Amounts are integer minor units of at most 10^12, which a number holds exactly.
 */

/** An amount of money in minor units of its currency. */
export interface Money {
  currency: string;
  amount: number;
}

/** Where a parcel goes. Personal data. */
export interface Address {
  recipient: string;
  lines: string[];
  city: string;
  postalCode: string;
  country: string;
}

/** One article of an order; the price is of one, in the currency of the order's total. */
export interface OrderLine {
  sku: string;
  quantity: number;
  unitPrice: number;
  /** What all of it costs, with its part of shipping, discounts and taxes; absent: what its pieces cost. */
  amount?: number;
}

/** A part of a reservation: one article at one location. */
export interface Allocation {
  sku: string;
  locationId: string;
  quantity: number;
}

/** An article that goes back on the shelf. */
export interface ReturnedPart {
  sku: string;
  locationId: string;
  quantity: number;
}

/** What becomes of a parcel in the end. */
export type ParcelReport = "DELIVERED" | "LOST" | "RETURNED";

/** What came of asking the carrier to turn a parcel back, as in `shop.orders.v1.TurnBack`. */
export type TurnBack = "ASKED" | "AGREED" | "REFUSED";

/** Where a parcel stands, as in `shop.orders.v1.OrderShipmentStatus`. */
export type ParcelStatus = "PLANNED" | "SHIPPED" | "DELIVERED" | "CANCELLED" | "LOST" | "RETURNED";

/** Where the saga moves an order, as in `shop.orders.v1.OrderStatus`. */
export type OrderMove = "CONFIRMED" | "PREPARING" | "SHIPPED" | "DELIVERED" | "REJECTED" | "CANCELLED" | "FAILED";

/** A parcel as the order shows it. */
export interface OrderParcel {
  locationId: string;
  shipmentId: string;
  trackingNumber: string;
  status: ParcelStatus;
  amount: Money;
  /** What it holds; absent: it is not known. */
  lines?: { sku: string; quantity: number }[];
  /** Absent: the carrier was not asked. */
  turnBack?: TurnBack;
  /** The return of all that it holds; absent: there is none. */
  returnId?: string;
  /** What was paid back of it because it was lost, in minor units; absent: it was not, or all of it was. */
  refunded?: number;
}

/** Why an order ended without delivery. */
export interface OrderFailure {
  /** Upper snake case. */
  reason: string;
  /** A sentence for the customer. */
  customerMessage: string;
}

/** Where a saga stands, as in `shop.sagas.v1.SagaStage`. */
export type SagaStage =
  | "CHECKOUT"
  | "FULFILLMENT"
  | "TRACKING"
  | "COMPENSATING"
  | "DELIVERED"
  | "REJECTED"
  | "CANCELLED"
  | "FAILED";
