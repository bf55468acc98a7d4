import { ShipmentEventSchema } from "#gen/shop/events/v1/shipment_event_pb.js";
import { ShipmentStatus } from "#gen/shop/shipping/v1/shipment_pb.js";
import { valueNamed } from "#platform/events/details.ts";
import { type EventTypes, internal, told } from "#platform/events/event-types.ts";

const changed = told(ShipmentEventSchema, ({ subject, orderId, details }) => ({
  shipmentId: subject,
  orderId,
  locationId: details.location ?? "",
  status: valueNamed(ShipmentStatus, details.to),
  previousStatus: valueNamed(ShipmentStatus, details.from),
  returnId: details.return ?? "",
  code: details.code ?? "",
}));

/** What becomes of each action in the audit log of shipping. */
export const shippingEvents = {
  "shipment.created": changed,
  "shipment.packed": changed,
  "shipment.booked": changed,
  "shipment.delivered": changed,
  "shipment.failed": changed,
  "shipment.lost": changed,
  "shipment.returned": changed,
  "shipment.cancelled": changed,
  "shipment.turn_back_requested": changed,
  "shipment.turning_back": changed,
  "shipment.turn_back_refused": changed,
  "shipment.return_label_requested": changed,
  "shipment.return_label_made": changed,
  "shipment.return_label_refused": changed,
  "audit.read": internal("Somebody read the audit log."),
} as const satisfies EventTypes;
