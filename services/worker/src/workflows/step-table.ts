import type { Address, Allocation, Money, OrderFailure, Outcome, ParcelReport, ParcelState } from "./order-state.ts";

/** Where the saga moves an order, as in `shop.orders.v1.OrderStatus`. */
export type OrderMove = "CONFIRMED" | "SHIPPED" | "DELIVERED" | "REJECTED" | "CANCELLED" | "FAILED";

/** A parcel as the order shows it. */
export type OrderParcel = Pick<ParcelState, "locationId" | "shipmentId" | "trackingNumber" | "status"> & {
  amount: Money;
};

/** One move of one order. */
export interface TransitionInput {
  orderId: string;
  status: OrderMove;
  failure?: OrderFailure;
  /** The parcels from now on; absent: as they are. */
  parcels?: OrderParcel[];
}

/** A parcel by its order and location. */
export interface ParcelRef {
  orderId: string;
  locationId: string;
}

/** Of a step that must succeed. */
export interface Again {
  /** How often an operator had it asked anew after a final refusal; absent: never. */
  again?: number;
}

/** A part of an order's money; with the location it is that parcel's part. */
export interface MoneyInput extends Again {
  orderId: string;
  locationId: string;
  amount: Money;
}

/** What goes into and comes out of the activities that the saga calls, by name. */
export interface StepTypes {
  reserveStock: { input: { orderId: string; lines: { sku: string; quantity: number }[] }; output: Allocation[] };
  releaseStock: { input: { orderId: string; locationId?: string } & Again; output: null };
  commitStock: { input: ParcelRef & Again; output: null };
  authorizePayment: {
    input: { orderId: string; customerId: string; amount: Money; cardToken: string };
    output: null;
  };
  /** Without an amount all that is left is voided. */
  voidPayment: { input: { orderId: string; locationId?: string; amount?: Money } & Again; output: null };
  capturePayment: { input: MoneyInput; output: null };
  refundPayment: { input: MoneyInput; output: null };
  /** Makes the reservation firm, then moves the order to CONFIRMED. */
  confirmOrder: { input: { orderId: string; parcels: OrderParcel[] }; output: null };
  transitionOrder: { input: TransitionInput; output: null };
  prepareShipment: {
    input: ParcelRef & { lines: { sku: string; quantity: number }[]; address: Address };
    output: { shipmentId: string };
  };
  bookShipment: { input: ParcelRef; output: { trackingNumber: string } };
  cancelShipment: { input: ParcelRef & Again; output: null };
  /** What became of a shipment; null while it is on its way. */
  lookShipment: { input: { orderId: string; shipmentId: string }; output: ParcelReport | null };
}

/** The name of an activity. */
export type StepName = keyof StepTypes;
/** What one entry of an activity takes. */
export type InputOf<N extends StepName> = StepTypes[N]["input"];
/** What one entry of an activity answers. */
export type OutputOf<N extends StepName> = StepTypes[N]["output"];

/** The argument of every activity. */
export interface StepList<I> {
  /** 1 to 64 entries, each of its own order or parcel. */
  entries: I[];
  /** W3C trace context of the order of each entry, "" where it is not kept; absent when none is. */
  traceparents?: string[];
  /** Attempts that were made of this list in another way before; absent: none. */
  attemptsBefore?: number;
}

/** The activities that the worker provides: each takes a list and answers with an outcome for each entry. */
export type Activities = {
  [N in StepName]: (list: StepList<InputOf<N>>) => Promise<Outcome<OutputOf<N>>[]>;
};
