import {
  inOrder,
  moveTo,
  type Shipment,
  type ShipmentStatus,
  type TrackingEvent,
  type TrackingKind,
  trackingKinds,
} from "../shipment/shipment.ts";

/** The years 1 to 9999, as `google.protobuf.Timestamp` says. */
const times = { first: Date.parse("0001-01-01T00:00:00Z"), last: Date.parse("9999-12-31T23:59:59.999Z") };

/** Whether something can have happened then; an invalid date is none. */
export function isEventTime(date: Date): boolean {
  return date.getTime() >= times.first && date.getTime() <= times.last;
}

/** Whether it could have been reported: the carrier says what happened and when, under an id. */
export function isReportable({ eventId, kind, eventTime }: TrackingEvent): boolean {
  return eventId !== "" && trackingKinds.includes(kind) && isEventTime(eventTime);
}

/** What a report makes of a shipment; a stage on the way changes nothing. */
const endings: Partial<Record<TrackingKind, ShipmentStatus>> = {
  delivered: "delivered",
  lost: "lost",
  returned: "returned",
};

/**
 * A shipment after reports of its carrier. They may come in any order and more than once: a report counts once by its id
 * (the first to come under an id is kept), and the status follows from all of them in the order in which they happened.
 *
 * When a shipment is reported to have ended in several ways, the later happening counts; at the same instant, the greater id.
 * Once the telling has begun, of the saga or of orders, the status stays, because money moves on it; such reports are kept, not acted on.
 */
export function applyEvents(shipment: Shipment, reported: readonly TrackingEvent[]): Shipment {
  const events = merge(shipment.events, reported);
  const status = events.reduce((so, event) => endings[event.kind] ?? so, "shipped" as ShipmentStatus);
  const next = { ...shipment, events };
  return shipment.told || status === shipment.status ? next : moveTo(next, status);
}

/** The report that its status follows from; undefined while it is on its way. */
export function decisiveEvent({ events }: Shipment): TrackingEvent | undefined {
  return events.findLast((event) => endings[event.kind] !== undefined);
}

/** The reports that a shipment does not have yet, each once. */
export function newEvents(shipment: Shipment, reported: readonly TrackingEvent[]): TrackingEvent[] {
  const known = new Set(shipment.events.map((event) => event.eventId));
  return reported.filter((event) => !known.has(event.eventId) && known.add(event.eventId));
}

function merge(known: readonly TrackingEvent[], reported: readonly TrackingEvent[]): TrackingEvent[] {
  const byId = new Map([...reported].reverse().map((event) => [event.eventId, event]));
  for (const event of known) byId.set(event.eventId, event);
  return inOrder([...byId.values()]);
}

/** Whether its saga wants to hear of it: the shipment arrived, is lost, or has come back. */
export function isOver(shipment: Shipment): boolean {
  return Object.values(endings).includes(shipment.status);
}

/**
 * How a shipment is shown: while a later report may still correct how it ended, it is on its way. Otherwise a saga that looks
 * could act on another ending than the one it is told.
 */
export function withFinalStatus(shipment: Shipment): Shipment {
  const isFinal = !isOver(shipment) || shipment.told || (shipment.sagaId === "" && !shipment.reported);
  return isFinal ? shipment : { ...shipment, status: "shipped" };
}
