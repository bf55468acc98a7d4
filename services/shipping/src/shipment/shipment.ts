import { hideCardNumbers } from "#platform/redact/redact-text.ts";
import type { BookingState } from "../booking/carrier.ts";
import { alreadyShipped, carrierRefused, notReady, packingFailed, shipmentCancelled } from "./errors.ts";

/**
 * Where a shipment may go next. The way between `delivered` and `lost` is open only until a saga is told, see
 * {@link applyEvents}: reports of the carrier come in any order, and a later one corrects an earlier one.
 */
export const transitions = {
  preparing: ["ready", "failed", "cancelled"],
  ready: ["booking", "cancelled"],
  booking: ["shipped", "failed", "cancelled"],
  shipped: ["delivered", "lost"],
  delivered: ["lost"],
  failed: [],
  lost: ["delivered"],
  cancelled: [],
} as const satisfies Record<string, readonly string[]>;

/** Where a shipment stands. */
export type ShipmentStatus = keyof typeof transitions;

/** Every status. */
export const shipmentStatuses: readonly ShipmentStatus[] = Object.keys(transitions) as ShipmentStatus[];

/** The statuses from which a shipment may go to `to`. */
export function sourcesOf(to: ShipmentStatus): ShipmentStatus[] {
  return shipmentStatuses.filter((from) => nextOf(from).includes(to));
}

function nextOf(status: ShipmentStatus): readonly ShipmentStatus[] {
  return transitions[status];
}

/** One article of a shipment; quantity 1 to 1,000,000. */
export interface ShipmentLine {
  readonly sku: string;
  readonly quantity: number;
}

/** Where a parcel goes. Personal data: never logged. */
export interface Address {
  readonly recipient: string;
  readonly lines: readonly string[];
  readonly city: string;
  readonly postalCode: string;
  readonly country: string;
}

/** What a carrier reports. */
export type TrackingKind = "picked_up" | "in_transit" | "out_for_delivery" | "delivered" | "lost";

/** One report of the carrier. */
export interface TrackingEvent {
  /** The carrier's; the same for a report that comes again. */
  readonly eventId: string;
  readonly kind: TrackingKind;
  readonly eventTime: Date;
  readonly place: string;
}

/** Why a shipment failed. */
export interface ShipmentFailure {
  readonly by: "warehouse" | "carrier";
  /** Theirs, for programs. */
  readonly code: string;
  /** For people. */
  readonly reason: string;
}

/** One parcel: what of an order leaves from one location. */
export interface Shipment {
  readonly shipmentId: string;
  readonly orderId: string;
  readonly locationId: string;
  readonly status: ShipmentStatus;
  readonly lines: readonly ShipmentLine[];
  /** Undefined for the mark that a cancellation leaves when it comes before the shipment. */
  readonly address: Address | undefined;
  /** Whom to tell how it ended; empty: nobody. */
  readonly sagaId: string;
  readonly carrier: string;
  readonly trackingNumber: string;
  readonly failure: ShipmentFailure | undefined;
  /** Somebody wants it called off, but whether the carrier has it is not known yet. */
  readonly cancelRequested: boolean;
  /** How often the carrier has been asked about it. */
  readonly attempts: number;
  /** Whether the telling of the saga has begun: what was told is not changed any more. */
  readonly told: boolean;
  /** By the time they happened. */
  readonly events: readonly TrackingEvent[];
  /** The trace of the last request about it: what is done for it later goes on there. */
  readonly trace: { readonly traceparent: string; readonly time: Date };
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** Whether it is only the mark of a cancellation that came before the shipment. */
export function isTombstone(shipment: Shipment): boolean {
  return shipment.address === undefined;
}

/** The shipment in another status. @throws Error when the table has no such way, which is a fault of the program */
export function moveTo(shipment: Shipment, status: ShipmentStatus, facts: Partial<Shipment> = {}): Shipment {
  if (!nextOf(shipment.status).includes(status)) {
    throw new Error(`shipment ${shipment.shipmentId} cannot go from ${shipment.status} to ${status}`);
  }
  return { ...shipment, ...facts, status };
}

/** What a request means for a shipment: to begin something, to await what has begun, or nothing because it is done. */
export type Verdict = "begin" | "await" | "done";
type Judgement = (shipment: Shipment) => Verdict;

const booking = {
  preparing: refuse(notReady),
  ready: () => "begin",
  booking: () => "await",
  shipped: () => "done",
  delivered: () => "done",
  lost: () => "done",
  failed: refuse(failureOf),
  cancelled: refuse(shipmentCancelled),
} satisfies Record<ShipmentStatus, Judgement>;

const cancellation = {
  preparing: () => "begin",
  ready: () => "begin",
  booking: () => "await",
  shipped: refuse(alreadyShipped),
  delivered: refuse(alreadyShipped),
  lost: refuse(alreadyShipped),
  failed: () => "done",
  cancelled: () => "done",
} as const satisfies Record<ShipmentStatus, Judgement>;

/**
 * Whether a shipment can be handed to the carrier.
 *
 * @throws NOT_READY, CARRIER_REFUSED, PACKING_FAILED, SHIPMENT_CANCELLED
 */
export function judgeBooking(shipment: Shipment): Verdict {
  return booking[shipment.status](shipment);
}

/** Whether a shipment can be called off. @throws ALREADY_SHIPPED */
export function judgeCancellation(shipment: Shipment): Verdict {
  return cancellation[shipment.status](shipment);
}

function refuse(error: (shipment: Shipment) => Error): (shipment: Shipment) => never {
  return (shipment) => {
    throw error(shipment);
  };
}

function failureOf(shipment: Shipment): Error {
  const code = shipment.failure?.code ?? "";
  const refused = shipment.failure?.by === "carrier";
  return refused ? carrierRefused(shipment.shipmentId, code) : packingFailed(shipment.shipmentId, code);
}

/** What follows from the carrier's answer: the decided shipment, or what still has to be asked. */
export type Settlement =
  | { readonly kind: "decided"; readonly shipment: Shipment }
  /** It is booked, but somebody wants it called off. */
  | { readonly kind: "cancel" }
  /** The carrier does not know it. */
  | { readonly kind: "book" };

/** Whether the carrier's answer is outstanding. */
export function awaitsCarrier(shipment: Shipment): boolean {
  return booking[shipment.status] === booking.booking;
}

/**
 * What a shipment in `booking` becomes by the carrier's answer; a shipment that is decided already stays. Facts win over wishes: what the carrier has refused is
 * failed, and what it can no longer give back is shipped, whether or not somebody wanted it called off.
 *
 * @param asked `cancel` when the answer is that to a cancellation
 */
export function settle(shipment: Shipment, answer: BookingState, asked: "book" | "cancel"): Settlement {
  if (!awaitsCarrier(shipment)) return decided(shipment);
  switch (answer.kind) {
    case "unknown":
      if (asked === "cancel") return decided(moveTo(shipment, "cancelled"));
      return { kind: shipment.cancelRequested ? "cancel" : "book" };
    case "booked":
      if (shipment.cancelRequested && asked === "book") return { kind: "cancel" };
      return decided(moveTo(shipment, "shipped", { trackingNumber: answer.trackingNumber }));
    case "refused":
      return decided(moveTo(shipment, "failed", { failure: carrierFailure(answer.code, answer.message) }));
    case "cancelled":
      if (shipment.cancelRequested) return decided(moveTo(shipment, "cancelled"));
      return decided(moveTo(shipment, "failed", { failure: carrierFailure("CANCELLED", "the carrier called it off") }));
  }
}

function decided(shipment: Shipment): Settlement {
  return { kind: "decided", shipment };
}

function carrierFailure(code: string, reason: string): ShipmentFailure {
  return { by: "carrier", code: hideCardNumbers(code), reason: hideCardNumbers(reason) };
}
