import { type Timestamp, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type LabelOrder as LabelOrderMessage,
  LabelOrderSchema,
  type LabelOutcome,
  type ParcelOrder,
  ParcelOrderSchema,
  type ParcelOutcome,
  type ParcelWay,
  type TurnBackOutcome,
} from "#gen/ordermesh/connectors/v1/carrier_parcel_pb.js";
import type { TrackingEvent as TrackingEventMessage } from "#gen/shop/shipping/v1/shipment_pb.js";
import { whole } from "#platform/whole.ts";
import { toAddress, toTrackingKind } from "../api/shipment-proto.ts";
import {
  type BookingOrder,
  type BookingState,
  CarrierUndecidedError,
  type LabelOrder,
  type LabelState,
  type TurnBackAnswer,
} from "../booking/carrier.ts";
import type { TrackingEvent } from "../shipment/shipment.ts";

/** A parcel as connectors get it. */
export function toParcel({ key, orderId, locationId, address, parcel, expireTime }: BookingOrder): ParcelOrder {
  const { weightGrams, sizeMm, serviceLevel, sender } = parcel;
  const [lengthMm, widthMm, heightMm] = sizeMm;
  return whole(ParcelOrderSchema, {
    key,
    orderId,
    locationId,
    sender: sender && toAddress(sender),
    recipient: toAddress(address),
    weightGrams,
    size: { lengthMm, widthMm, heightMm },
    serviceLevel,
    expireTime: timestampFromDate(expireTime),
  });
}

/** A label as connectors get it. Who is sent one long after his parcel came is not known any more. */
export function toLabelOrder({ key, orderId, address, locationId }: LabelOrder): LabelOrderMessage {
  return whole(LabelOrderSchema, {
    key,
    orderId,
    sender: address.country === "" ? undefined : toAddress(address),
    locationId,
  });
}

/** What a connector says of a parcel. @throws CarrierUndecidedError */
export function toBookingState({ result }: ParcelOutcome): BookingState {
  switch (result.case) {
    case "booked":
      return { kind: "booked", trackingNumber: result.value.trackingNumber, carrier: result.value.carrier };
    case "refused":
      return { kind: "refused", code: result.value.code, message: result.value.message };
    case "cancelled":
    case "unknown":
      return { kind: result.case };
    default:
      throw undecided();
  }
}

/** What a connector says of turning a parcel back. @throws CarrierUndecidedError */
export function toTurnBackAnswer({ result }: TurnBackOutcome): TurnBackAnswer {
  switch (result.case) {
    case "agreed":
      return { kind: "agreed" };
    case "refused":
      return { kind: "refused", code: result.value.code, message: result.value.message };
    default:
      throw undecided();
  }
}

/** What a connector says of a label. @throws CarrierUndecidedError */
export function toLabelState({ result }: LabelOutcome): LabelState {
  switch (result.case) {
    case "made":
      return { kind: "made", trackingNumber: result.value.trackingNumber, label: result.value.label };
    case "refused":
      return { kind: "refused", code: result.value.code, message: result.value.message };
    case "unknown":
      return { kind: "unknown" };
    default:
      throw undecided();
  }
}

/** What a connector says of a parcel's way; undefined: it has no such parcel. @throws CarrierUndecidedError */
export function toEvents({ result }: ParcelWay): readonly TrackingEvent[] | undefined {
  switch (result.case) {
    case "known":
      return result.value.events.flatMap(toEvent);
    case "unknown":
      return undefined;
    default:
      throw undecided();
  }
}

/** What somebody else says may be nothing that is known here: a newer connector's. */
function toEvent({ eventId, kind: said, eventTime, place }: TrackingEventMessage): TrackingEvent[] {
  const kind = toTrackingKind(said);
  return kind ? [{ eventId, kind, eventTime: toDate(eventTime), place }] : [];
}

/** Whoever looks at an event knows an invalid time. */
function toDate(time: Timestamp | undefined): Date {
  return time ? timestampDate(time) : new Date(Number.NaN);
}

function undecided(): CarrierUndecidedError {
  return new CarrierUndecidedError("the carrier has not decided, or cannot say");
}
