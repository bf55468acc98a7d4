import { defineQuery, defineSignal, defineUpdate } from "@temporalio/workflow";
import type { ParcelReport } from "../order/order-types.ts";
import type { ParkedStepRef, ParkedStepView } from "./engine/parking.ts";
import type { OrderStatusView } from "./order-state.ts";

/** Which order to cancel, and why. */
export interface CancelRequest {
  orderId: string;
  /** For the customer and the record. */
  reason: string;
}

/** A parked step that was taken care of by other means. */
export interface ResolveRequest extends ParkedStepRef {
  /** What was done instead, for the record. */
  note: string;
}

/** What became of one parcel. */
export interface ParcelReportEntry {
  orderId: string;
  locationId: string;
  result: ParcelReport;
}

/** Has one order cancelled. Refused with NOT_CANCELLABLE by its validator. */
export const cancelOrder = defineUpdate<void, [CancelRequest]>("cancelOrder");
/** The same, without an answer; ignored when the order cannot be cancelled. */
export const cancelOrderSignal = defineSignal<[CancelRequest]>("cancel-order");
/** Has a parked step tried again. Refused with STEP_NOT_PARKED by its validator. */
export const retryStep = defineUpdate<void, [ParkedStepRef]>("retryStep");
/** Says that a parked step is done by other means. Refused with STEP_NOT_PARKED by its validator. */
export const resolveStep = defineUpdate<void, [ResolveRequest]>("resolveStep");
/** Tells what became of parcels. */
export const reportParcels = defineSignal<[ParcelReportEntry[]]>("report-parcels");
/** How far one order has come; null when the workflow does not carry it. */
export const orderStatus = defineQuery<OrderStatusView | null, [string]>("orderStatus");
/** All steps that wait for an operator. */
export const parkedSteps = defineQuery<ParkedStepView[]>("parkedSteps");
