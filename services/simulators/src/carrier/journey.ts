import { TrackingEventKind } from "#gen/shop/shipping/v1/shipment_pb.js";
import type { ParcelRow } from "./carrier-store.ts";

/** What happens to a parcel on its way, as it is told. */
export const journeyKinds = {
  picked_up: TrackingEventKind.PICKED_UP,
  in_transit: TrackingEventKind.IN_TRANSIT,
  out_for_delivery: TrackingEventKind.OUT_FOR_DELIVERY,
  delivered: TrackingEventKind.DELIVERED,
  lost: TrackingEventKind.LOST,
  returned: TrackingEventKind.RETURNED,
} as const;

type JourneyKind = keyof typeof journeyKinds;

/** Something that happened. */
export interface JourneyEvent {
  /** The same for a report that comes again. */
  readonly eventId: string;
  readonly kind: JourneyKind;
  readonly eventTime: Date;
  readonly place: string;
}

/** What is reported in each quarter of the way, and where. */
const journey: readonly { kind: JourneyKind; place: string }[] = [
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
export function eventOf(parcel: ParcelRow, stage: number, eventTime: Date): JourneyEvent | undefined {
  const step = journeyOf(parcel)[stage];
  return step && { ...step, eventId: `${parcel.trackingNumber}-${stage + 1}`, eventTime };
}

/** Everything that has happened to a parcel by a time. */
export function eventsUntil(parcel: ParcelRow, now: Date): JourneyEvent[] {
  const times = journeyOf(parcel).map((_, stage) => timeOf(parcel, stage));
  return times.flatMap((time, stage) => (time && time <= now ? (eventOf(parcel, stage, time) ?? []) : []));
}
