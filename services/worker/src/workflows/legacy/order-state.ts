/**
 * What crosses the border of a workflow: plain JSON, because the payload converter serializes neither `bigint` nor
 * protobuf-es messages. Amounts are integer minor units of at most 10^12, which a number holds exactly.
 */

import type { StepStatus } from "../engine/saga.ts";
import type {
  Address,
  Money,
  OrderFailure,
  OrderLine,
  ParcelReport,
  ParcelStatus,
  SagaStage,
} from "../order/order-types.ts";
import type { SagaOptions } from "./engine/options.ts";

/** An order as its saga needs it. */
export interface SagaOrder {
  orderId: string;
  customerId: string;
  lines: OrderLine[];
  total: Money;
  address: Address;
  cardToken: string;
  /** W3C trace context of the call that created the order; empty when its trace is not kept. */
  traceparent: string;
}

/** One parcel of an order: what leaves from one location. */
export interface ParcelState {
  locationId: string;
  lines: { sku: string; quantity: number }[];
  /** What it holds costs this much, in minor units of the order's currency. */
  amount: number;
  /** Empty before there is a shipment. */
  shipmentId: string;
  /** Empty before it is booked. */
  trackingNumber: string;
  status: ParcelStatus;
  /** What the carrier reported; kept when it comes before the saga waits for it. */
  report?: ParcelReport;
}

/** One step of a saga, for people. */
export interface StepRecord {
  name: string;
  status: StepStatus;
  /** Milliseconds since 1970. */
  startTime: number;
}

/** All that is known about one order; carried over when the workflow continues as new. */
export interface OrderState {
  order: SagaOrder;
  stage: SagaStage;
  steps: StepRecord[];
  parcels: ParcelState[];
  failure?: OrderFailure;
}

/** Answer of the query `orderStatus`. */
export interface OrderStatusView {
  orderId: string;
  stage: SagaStage;
  steps: StepRecord[];
  failureReason: string;
  /** How many orders its workflow carries. */
  listSize: number;
}

/** The input of `processOrders`: orders at their beginning, or as they stood when the workflow continued as new. */
export interface ProcessOrdersInput {
  orders: OrderState[];
  options: SagaOptions;
  /** When the carrier is asked next, milliseconds since 1970; absent before the first parcel is on its way. */
  nextPollTime?: number;
}

/** How each order ended. */
export interface ProcessOrdersResult {
  orders: { orderId: string; stage: SagaStage }[];
}

/** The state of an order whose saga begins. */
export function newOrderState(order: SagaOrder): OrderState {
  return { order, stage: "CHECKOUT", steps: [], parcels: [] };
}
