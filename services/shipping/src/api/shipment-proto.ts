import { type Timestamp, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type BookShipmentRequest,
  BookShipmentRequestSchema,
  type CancelShipmentRequest,
  CancelShipmentRequestSchema,
  type RequestReturnLabelRequest,
  RequestReturnLabelRequestSchema,
  type TurnBackShipmentRequest,
  TurnBackShipmentRequestSchema,
} from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import {
  ShipmentStatus as ProtoStatus,
  type Shipment as ShipmentProto,
  ShipmentSchema,
  TrackingEventKind,
} from "#gen/shop/shipping/v1/shipment_pb.js";
import {
  type CreateShipmentRequest,
  CreateShipmentRequestSchema,
  type ReportTrackingEventRequest,
  ShortReason as ShortReasonProto,
  TrackedShipmentSchema,
  TrackingOutcome,
} from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { type Address as AddressProto, AddressSchema } from "#gen/shop/type/v1/address_pb.js";
import { fingerprint } from "#platform/database/idempotency.ts";
import { fenceOf } from "#platform/fence.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { whole } from "#platform/whole.ts";
import type { ShipmentRequest } from "../booking/booking.repository.ts";
import type { ShortReason } from "../packing/packing-words.ts";
import type { NewCarrierRequest } from "../request/carrier-request.repository.ts";
import type { NewShipment } from "../shipment/shipment.repository.ts";
import type { Address, Shipment, ShipmentStatus, TrackingKind } from "../shipment/shipment.ts";
import { addressOf } from "../shipment/shipment-address.ts";
import { submission } from "../shipment/shipment-audit.ts";
import type { TrackedShipment } from "../tracking/shipment-look.ts";
import type { TrackingReport } from "../tracking/tracking.repository.ts";
import { isEventTime, withFinalStatus } from "../tracking/tracking-events.ts";

const statuses: Readonly<Record<ShipmentStatus, ProtoStatus>> = {
  preparing: ProtoStatus.PREPARING,
  ready: ProtoStatus.READY,
  booking: ProtoStatus.BOOKING,
  shipped: ProtoStatus.SHIPPED,
  delivered: ProtoStatus.DELIVERED,
  failed: ProtoStatus.FAILED,
  lost: ProtoStatus.LOST,
  returned: ProtoStatus.RETURNED,
  cancelled: ProtoStatus.CANCELLED,
};
const statusesByNumber = new Map(Object.entries(statuses).map(([name, number]) => [number, name as ShipmentStatus]));

const kinds: Readonly<Record<TrackingKind, TrackingEventKind>> = {
  picked_up: TrackingEventKind.PICKED_UP,
  in_transit: TrackingEventKind.IN_TRANSIT,
  out_for_delivery: TrackingEventKind.OUT_FOR_DELIVERY,
  delivered: TrackingEventKind.DELIVERED,
  lost: TrackingEventKind.LOST,
  returned: TrackingEventKind.RETURNED,
};
const kindsByNumber = new Map(Object.entries(kinds).map(([name, number]) => [number, name as TrackingKind]));

/** What a carrier reports; undefined: nothing that is known. */
export function toTrackingKind(kind: TrackingEventKind): TrackingKind | undefined {
  return kindsByNumber.get(kind);
}

const shortReasons: ReadonlyMap<ShortReasonProto, ShortReason> = new Map([
  [ShortReasonProto.MISSING, "MISSING"],
  [ShortReasonProto.DAMAGED, "DAMAGED"],
  [ShortReasonProto.UNSHIPPABLE, "UNSHIPPABLE"],
]);

/** Why a shipment cannot be packed. @throws RangeError for what the contract refuses */
export function toShortReason(reason: ShortReasonProto): ShortReason {
  const known = shortReasons.get(reason);
  if (known) return known;
  throw new RangeError(`${reason} is no reason of a shipment that is short`);
}

/** A status as a filter; undefined: any. */
export function toStatus(status: ProtoStatus): ShipmentStatus | undefined {
  return statusesByNumber.get(status);
}

/** A shipment as callers see it; how it ended, once that is final. */
export async function toProto(personal: PersonalData, latest: Shipment): Promise<ShipmentProto> {
  const shipment = withFinalStatus(latest);
  const address = await addressOf(personal, shipment);
  return whole(ShipmentSchema, {
    shipmentId: shipment.shipmentId,
    orderId: shipment.orderId,
    locationId: shipment.locationId,
    generation: shipment.generation,
    status: statuses[shipment.status],
    lines: shipment.lines.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) })),
    address: address && toAddress(address),
    carrier: shipment.carrier,
    trackingNumber: shipment.trackingNumber,
    failureReason: failureText(shipment),
    events: shipment.events.map(({ eventId, kind, eventTime, place }) => ({
      eventId,
      kind: kinds[kind],
      eventTime: timestampFromDate(eventTime),
      place,
    })),
    createTime: timestampFromDate(shipment.createTime),
    updateTime: timestampFromDate(shipment.updateTime),
  });
}

/** An address as messages have it. */
export function toAddress({ recipient, lines, city, postalCode, country }: Address): AddressProto {
  return whole(AddressSchema, { recipient, lines: [...lines], city, postalCode, country });
}

function failureText({ failure, status, events }: Shipment): string {
  if (failure) return failure.reason === "" ? failure.code : `${failure.reason} (${failure.code})`;
  const texts: Partial<Record<ShipmentStatus, string>> = { lost: lossText(events) };
  return texts[status] ?? "";
}

function lossText(events: Shipment["events"]): string {
  const place = events.findLast((event) => event.kind === "lost")?.place;
  return place ? `lost by the carrier: ${place}` : "lost by the carrier";
}

/** A request to create, with what tells a repetition from another request. */
export function toNewShipment(request: CreateShipmentRequest): NewShipment {
  const { requestId, orderId, locationId, generation, sagaId, reported, lines, address } = request;
  const { recipient = "", lines: street = [], city = "", postalCode = "", country = "" } = address ?? {};
  return {
    requestId,
    // Whichever episode asks. A process of the version before drops `reported`: what either has seen the other takes as a repetition.
    fingerprint: fingerprint(CreateShipmentRequestSchema, { ...request, reported: false, fence: 0 }),
    fence: fenceOf(request),
    orderId,
    locationId,
    generation,
    sagaId,
    reported,
    lines: lines.map(({ sku, quantity }) => ({ sku, quantity: Number(quantity) })),
    address: { recipient, lines: street, city, postalCode, country },
    ...submission(requestId),
  };
}

/** A request to book. */
export function toBooking(request: BookShipmentRequest): ShipmentRequest {
  const { requestId, orderId, locationId, generation } = request;
  return {
    requestId,
    fingerprint: fingerprint(BookShipmentRequestSchema, { ...request, fence: 0 }),
    fence: fenceOf(request),
    orderId,
    locationId,
    generation,
    ...submission(requestId),
  };
}

/** A request to call off. */
export function toCancellation(request: CancelShipmentRequest): ShipmentRequest {
  const { requestId, orderId, locationId, generation, unpackedOnly } = request;
  return {
    requestId,
    fingerprint: fingerprint(CancelShipmentRequestSchema, { ...request, fence: 0 }),
    fence: fenceOf(request),
    orderId,
    locationId,
    generation,
    unpackedOnly,
    ...submission(requestId),
  };
}

/** A request to turn back. */
export function toTurnBack(request: TurnBackShipmentRequest): NewCarrierRequest {
  const { requestId, orderId, locationId, generation } = request;
  const known = fingerprint(TurnBackShipmentRequestSchema, { ...request, fence: 0 });
  const fence = fenceOf(request);
  return { requestId, fingerprint: known, orderId, locationId, generation, fence, ...submission(requestId) };
}

/** A request for the label of a return. */
export function toLabelRequest(request: RequestReturnLabelRequest): NewCarrierRequest & { readonly returnId: string } {
  const { requestId, orderId, locationId, generation, returnId } = request;
  const known = fingerprint(RequestReturnLabelRequestSchema, request);
  return { requestId, fingerprint: known, orderId, locationId, generation, returnId, ...submission(requestId) };
}

/**
 * A report of a carrier; times are kept to the millisecond.
 *
 * @throws ConnectError INVALID_ARGUMENT for a time that is none
 */
export function toReport({ trackingNumber, event }: ReportTrackingEventRequest): TrackingReport {
  const kind = event && toTrackingKind(event.kind);
  if (!kind || !event.eventTime) throw new RangeError("a report without an event that is known, or without its time");
  const { eventId, place, eventTime } = event;
  return { trackingNumber, event: { eventId, kind, place, eventTime: toDate(eventTime) } };
}

/** The rules of the proto do not look at it. */
function toDate(timestamp: Timestamp): Date {
  const date = timestampDate(timestamp);
  if (isEventTime(date)) return date;
  throw new ConnectError("event_time is not between the years 1 and 9999", Code.InvalidArgument);
}

const trackingOutcomes: Readonly<Record<TrackedShipment["outcome"], TrackingOutcome>> = {
  unchanged: TrackingOutcome.UNCHANGED,
  reported: TrackingOutcome.REPORTED,
  ended: TrackingOutcome.ENDED,
  overdue: TrackingOutcome.OVERDUE,
  unknown: TrackingOutcome.UNKNOWN,
  unanswered: TrackingOutcome.UNANSWERED,
};

/** What came of asking the carrier about a parcel. */
export function toTracked({ shipment, outcome }: TrackedShipment) {
  const { shipmentId, orderId } = shipment;
  return whole(TrackedShipmentSchema, { shipmentId, orderId, outcome: trackingOutcomes[outcome] });
}
