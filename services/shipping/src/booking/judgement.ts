import { outsideText } from "#platform/redact/outside-text.ts";
import { alreadyShipped, carrierRefused, notReady, packingFailed, shipmentCancelled } from "../shipment/errors.ts";
import { outsideFailure } from "../shipment/outside-text.ts";
import { moveTo, type Shipment, type ShipmentFailure, type ShipmentStatus } from "../shipment/shipment.ts";
import type { BookingState } from "./carrier.ts";

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
  returned: () => "done",
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
  returned: refuse(alreadyShipped),
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
  /** It is booked under a number that cannot be used, and has to be called off for that. */
  | { readonly kind: "withdraw" }
  /** The carrier does not know it. */
  | { readonly kind: "book" };

/** The longest name of a carrier that is kept, in characters. */
const longestName = 64;

/** What the carrier said, after its number was looked at: `mistaken` is booked under a number that cannot be used. */
export type JudgedAnswer = BookingState | { readonly kind: "mistaken"; readonly carrier: string };

/** Why the carrier was asked: to book, to call off as somebody wants, or to call off for a number that cannot be used. */
export type Asked = "book" | "cancel" | "withdraw";

/** Whether the carrier's answer is outstanding. */
export function awaitsCarrier(shipment: Shipment): boolean {
  return booking[shipment.status] === booking.booking;
}

/**
 * What a shipment in `booking` becomes by the carrier's answer; a shipment that is decided already stays. Facts win over
 * wishes: what the carrier has refused is failed, and what it can no longer give back is shipped, whether or not somebody
 * wanted it called off.
 *
 * What was booked under a number that cannot be used is called off and has failed; where the carrier does not give it back, it
 * has shipped under the shipment's own id, by which no report of the carrier will find it.
 *
 * @param asked what the answer is to
 */
export function settle(shipment: Shipment, answer: JudgedAnswer, asked: Asked): Settlement {
  if (!awaitsCarrier(shipment)) return decided(shipment);
  switch (answer.kind) {
    case "unknown":
      if (asked !== "book") return calledOff(shipment, asked);
      return { kind: shipment.cancelRequested ? "cancel" : "book" };
    case "booked":
      if (shipment.cancelRequested && asked === "book") return { kind: "cancel" };
      return decided(moveTo(shipment, "shipped", shippedBy(answer, answer.trackingNumber)));
    case "mistaken":
      if (asked === "book") return { kind: shipment.cancelRequested ? "cancel" : "withdraw" };
      return decided(moveTo(shipment, "shipped", shippedBy(answer, shipment.shipmentId)));
    case "refused":
      return decided(moveTo(shipment, "failed", { failure: carrierFailure(answer.code, answer.message) }));
    case "cancelled":
      return calledOff(shipment, asked);
  }
}

function shippedBy({ carrier }: { readonly carrier: string }, trackingNumber: string): Partial<Shipment> {
  return { carrier: outsideText(carrier, longestName), trackingNumber };
}

function decided(shipment: Shipment): Settlement {
  return { kind: "decided", shipment };
}

/** Why nobody has it any more. */
function calledOff(shipment: Shipment, asked: Asked): Settlement {
  if (shipment.cancelRequested) return decided(moveTo(shipment, "cancelled"));
  const failure =
    asked === "withdraw"
      ? carrierFailure("TRACKING_NUMBER_UNUSABLE", "the carrier's tracking number is used already, or is none")
      : carrierFailure("CANCELLED", "the carrier called it off");
  return decided(moveTo(shipment, "failed", { failure }));
}

function carrierFailure(code: string, reason: string): ShipmentFailure {
  return { by: "carrier", ...outsideFailure(code, reason) };
}
