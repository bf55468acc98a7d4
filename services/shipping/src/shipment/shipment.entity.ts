import { defineEntity, p } from "@mikro-orm/core";
import type { ShipmentFailure, ShipmentLine, ShipmentStatus, StoredAddress, TrackingKind } from "./shipment.ts";

/** One report of the carrier. Append-only. */
export const TrackingEventEntity = defineEntity({
  name: "TrackingEvent",
  tableName: "tracking_event",
  properties: {
    shipment: () => p.manyToOne(ShipmentEntity).primary().joinColumn("shipment_id"),
    eventId: p.text().primary(),
    kind: p.text().$type<TrackingKind>(),
    eventTime: p.datetime(),
    place: p.text(),
  },
});

/** One shipment. Which column means what is said in the first migration. */
export const ShipmentEntity = defineEntity({
  name: "Shipment",
  tableName: "shipment",
  properties: {
    shipmentId: p.uuid().primary(),
    orderId: p.uuid(),
    locationId: p.text(),
    generation: p.integer(),
    fence: p.integer(),
    status: p.text().$type<ShipmentStatus>(),
    lines: p.json<ShipmentLine[]>(),
    address: p.json<StoredAddress>().nullable(),
    sagaId: p.text(),
    carrier: p.text(),
    trackingNumber: p.text().nullable(),
    failedBy: p.text().$type<ShipmentFailure["by"]>().nullable(),
    failureCode: p.text(),
    failureReason: p.text(),
    cancelRequested: p.boolean(),
    /** Null where a process of the version before, which does not know it, created the row. */
    reported: p.boolean().nullable(),
    awaited: p.boolean(),
    attempts: p.integer(),
    reportAttempts: p.integer(),
    traceparent: p.text(),
    traceTime: p.datetime().nullable(),
    createTime: p.datetime(),
    updateTime: p.datetime(),
    events: () => p.oneToMany(TrackingEventEntity).mappedBy("shipment"),
  },
});
