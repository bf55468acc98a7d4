import {
  type TrackedShipment,
  TrackingOutcome,
  TrackShipmentsRequestSchema,
} from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { whole } from "#platform/whole.ts";
import type { LookActivities } from "../workflows/look-after-shipments.ts";
import { guarded } from "./batch-call.ts";
import type { ServiceClients } from "./step-work.ts";

/** As many as the carrier can be asked about within the time that shipping gives a page, however slow it is. */
const pageSize = 100;

/**
 * The activity of the look at parcels that nobody reports. Which parcels these are is between shipping and the carrier: the
 * workflow learns how many.
 *
 * @param everyMs how long after a look all are looked at again, in milliseconds
 */
export function createLookActivities({ shipping }: Pick<ServiceClients, "shipping">, everyMs: number): LookActivities {
  return {
    async trackShipments(pageToken) {
      const request = whole(TrackShipmentsRequestSchema, { orderId: "", pageSize, pageToken });
      const { shipments, nextPageToken } = await guarded((options) => shipping.trackShipments(request, options));
      return { nextPageToken, asked: shipments.length, unanswered: shipments.filter(isUnanswered).length, everyMs };
    },
  };
}

function isUnanswered({ outcome }: TrackedShipment): boolean {
  return outcome === TrackingOutcome.UNANSWERED;
}
