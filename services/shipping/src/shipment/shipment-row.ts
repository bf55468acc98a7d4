import type { InferEntity } from "@mikro-orm/core";
import { selectList } from "#platform/database/columns.ts";
import { encodeId } from "#platform/id.ts";
import { jsonWithKey } from "#platform/personal/personal-key.ts";
import type { ShipmentEntity, TrackingEventEntity } from "./shipment.entity.ts";
import { inOrder, type Shipment, type TrackingEvent } from "./shipment.ts";

/** One row of `shipment`, its columns named as in the entity; ids are uuids. */
export type ShipmentRow = Omit<InferEntity<typeof ShipmentEntity>, "events">;

/** One row of `tracking_event`; the time is text where the row travelled as JSON. */
export interface EventRow extends Omit<InferEntity<typeof TrackingEventEntity>, "shipment" | "eventTime"> {
  readonly eventTime: Date | string;
}

/** A row with its reports, see {@link eventsColumn}. */
export interface ShipmentRowWithEvents extends ShipmentRow {
  readonly events: EventRow[];
}

/** The columns of a {@link ShipmentRow}, from the alias `s`. */
export const shipmentColumns = selectList<ShipmentRow>(
  {
    shipmentId: true,
    orderId: true,
    locationId: true,
    generation: true,
    fence: true,
    status: true,
    lines: true,
    address: jsonWithKey("s.address"),
    sagaId: true,
    carrier: true,
    trackingNumber: true,
    failedBy: true,
    failureCode: true,
    failureReason: true,
    cancelRequested: true,
    reported: true,
    awaited: true,
    attempts: true,
    reportAttempts: true,
    traceparent: true,
    traceTime: true,
    createTime: true,
    updateTime: true,
  },
  "s",
);

/** The columns of an {@link EventRow}, from the alias `e`. */
export const eventColumns = selectList<EventRow>({ eventId: true, kind: true, eventTime: true, place: true }, "e");

/** All reports on the shipment `s` as `events`, a JSON array of {@link EventRow}. */
export const eventsColumn = `coalesce((select json_agg(r) from (
  select ${eventColumns} from tracking_event e where e.shipment_id = s.shipment_id) r), '[]') as events`;

/**
 * The location of a shipment in whose place another one has come: its row has stepped aside, to a name that no location has, because there is one
 * row for each location of an order.
 */
export function locationOf(column: string): string {
  return column.split("~", 1)[0] ?? column;
}

/** The shipment that rows describe; the events in the order in which they happened. */
export function toShipment(row: ShipmentRow, events: readonly EventRow[] = []): Shipment {
  const { failedBy, failureCode: code, failureReason: reason } = row;
  return {
    shipmentId: encodeId(row.shipmentId),
    orderId: encodeId(row.orderId),
    locationId: locationOf(row.locationId),
    generation: row.generation,
    fence: row.fence,
    status: row.status,
    lines: row.lines,
    address: row.address ?? undefined,
    sagaId: row.sagaId,
    carrier: row.carrier,
    trackingNumber: row.trackingNumber ?? "",
    failure: failedBy ? { by: failedBy, code, reason } : undefined,
    cancelRequested: row.cancelRequested,
    reported: row.reported ?? row.sagaId === "",
    awaited: row.awaited,
    attempts: row.attempts,
    told: row.reportAttempts > 0,
    events: inOrder(events.map(toEvent)),
    trace: { traceparent: row.traceparent, time: row.traceTime ?? row.createTime },
    createTime: row.createTime,
    updateTime: row.updateTime,
  };
}

function toEvent({ eventId, kind, eventTime, place }: EventRow): TrackingEvent {
  return { eventId, kind, eventTime: new Date(eventTime), place };
}
