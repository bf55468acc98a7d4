import type { TrackingEvent, TrackingKind } from "../shipment/shipment.ts";
import type { ParcelRow } from "./carrier-store.ts";

/** What is reported in each quarter of the way, and where. */
const journey: readonly { kind: TrackingKind; place: string }[] = [
  { kind: "picked_up", place: "Warehouse dock" },
  { kind: "in_transit", place: "Sorting centre" },
  { kind: "out_for_delivery", place: "Local depot" },
  { kind: "delivered", place: "At the door" },
];
const lostJourney: typeof journey = [...journey.slice(0, 2), { kind: "lost", place: "Sorting centre" }];

function journeyOf(parcel: ParcelRow): typeof journey {
  if (isTurned(parcel)) return [...journey.slice(0, parcel.turnStage), turnedEnd(parcel)];
  return parcel.lost ? lostJourney : journey;
}

type TurnedParcel = ParcelRow & { readonly turnTime: Date };

function isTurned(parcel: ParcelRow): parcel is TurnedParcel {
  return parcel.turnTime !== null;
}

function turnedEnd({ turnBack }: ParcelRow): (typeof journey)[number] {
  return turnBack === "lose"
    ? { kind: "lost", place: "Sorting centre" }
    : { kind: "returned", place: "Warehouse dock" };
}

/** When a parcel reaches a stage of its way; null: there is no such stage. */
export function timeOf(parcel: ParcelRow, stage: number): Date | null {
  if (stage >= journeyOf(parcel).length) return null;
  if (isTurned(parcel) && stage === parcel.turnStage) {
    return new Date(parcel.turnTime.getTime() + Math.floor(parcel.transitMs / journey.length));
  }
  return new Date(parcel.bookTime.getTime() + Math.floor((parcel.transitMs * (stage + 1)) / journey.length));
}

/** What the carrier reports of a stage. */
export function eventOf(parcel: ParcelRow, stage: number, eventTime: Date): TrackingEvent | undefined {
  const step = journeyOf(parcel)[stage];
  return step && { ...step, eventId: `${parcel.trackingNumber}-${stage + 1}`, eventTime };
}

/** Everything that has happened to a parcel by a time. */
export function eventsUntil(parcel: ParcelRow, now: Date): TrackingEvent[] {
  const times = journeyOf(parcel).map((_, stage) => timeOf(parcel, stage));
  return times.flatMap((time, stage) => (time && time <= now ? (eventOf(parcel, stage, time) ?? []) : []));
}
