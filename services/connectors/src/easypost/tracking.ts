import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type TrackingEvent, TrackingEventKind, TrackingEventSchema } from "#gen/shop/shipping/v1/shipment_pb.js";
import { whole } from "#platform/whole.ts";
import type { Tracker, TrackingDetail } from "./easypost-messages.ts";

/** What a status is to shipping. Not told: that a label was printed, that it was taken back, and what says nothing of where the parcel is. */
const kinds: Readonly<Record<string, TrackingEventKind>> = {
  in_transit: TrackingEventKind.IN_TRANSIT,
  out_for_delivery: TrackingEventKind.OUT_FOR_DELIVERY,
  // It waits at a shop or a locker for whoever it is for.
  available_for_pickup: TrackingEventKind.IN_TRANSIT,
  delivered: TrackingEventKind.DELIVERED,
  // It has turned round, and is not back yet.
  return_to_sender: TrackingEventKind.IN_TRANSIT,
};

/** Everything that carriers have said of a parcel. The same scan has the same id whenever it is read. */
export function eventsOf({ id, tracking_details }: Tracker): TrackingEvent[] {
  return tracking_details.flatMap((detail) => {
    const kind = kindOf(detail);
    const time = new Date(detail.datetime);
    if (kind === undefined || Number.isNaN(time.getTime())) return [];
    const eventId = `${id}:${time.toISOString()}:${detail.status}:${detail.status_detail}`;
    return [whole(TrackingEventSchema, { eventId, kind, eventTime: timestampFromDate(time), place: placeOf(detail) })];
  });
}

function kindOf({ status, status_detail: detail }: TrackingDetail): TrackingEventKind | undefined {
  if (status === "failure") return detail === "lost" ? TrackingEventKind.LOST : undefined;
  return Object.hasOwn(kinds, status) ? kinds[status] : undefined;
}

function placeOf({ tracking_location: place }: TrackingDetail): string {
  return [place?.city, place?.state, place?.country].filter((part) => part).join(", ");
}
