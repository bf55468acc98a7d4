import { type AuditEntry, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { type IdempotencyRow, idempotencyColumns, type Keyed } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { inOrder } from "../tracking/tracking-events.ts";
import type { Address, Shipment, ShipmentFailure, ShipmentLine, ShipmentStatus, TrackingEvent } from "./shipment.ts";

/** One row of `shipment`, its columns named as in the entity; ids are uuids. */
export interface ShipmentRow {
  readonly shipmentId: string;
  readonly orderId: string;
  readonly locationId: string;
  readonly status: ShipmentStatus;
  readonly lines: ShipmentLine[];
  readonly address?: Address | null | undefined;
  readonly sagaId: string;
  readonly carrier: string;
  readonly trackingNumber?: string | null | undefined;
  readonly failedBy?: ShipmentFailure["by"] | null | undefined;
  readonly failureCode: string;
  readonly failureReason: string;
  readonly cancelRequested: boolean;
  readonly attempts: number;
  readonly reportAttempts: number;
  readonly traceparent: string;
  readonly traceTime?: Date | null | undefined;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** One row of `tracking_event`; the time is text where the row travelled as JSON. */
export interface EventRow extends Omit<TrackingEvent, "eventTime"> {
  readonly eventTime: Date | string;
}

/** The columns of a {@link ShipmentRow}, from the alias `s`. */
export const shipmentColumns = `s.shipment_id as "shipmentId", s.order_id as "orderId", s.location_id as "locationId",
  s.status, s.lines, s.address, s.saga_id as "sagaId", s.carrier, s.tracking_number as "trackingNumber",
  s.failed_by as "failedBy", s.failure_code as "failureCode", s.failure_reason as "failureReason",
  s.cancel_requested as "cancelRequested", s.attempts, s.report_attempts as "reportAttempts",
  s.traceparent, s.trace_time as "traceTime", s.create_time as "createTime", s.update_time as "updateTime"`;

/** All reports on the shipment `s` as `events`, a JSON array of {@link EventRow}. */
export const eventsColumn = `coalesce((select json_agg(json_build_object('eventId', e.event_id, 'kind', e.kind,
  'eventTime', e.event_time, 'place', e.place)) from tracking_event e where e.shipment_id = s.shipment_id), '[]') as events`;

/** The shipment that rows describe; the events in the order in which they happened. */
export function toShipment(row: ShipmentRow, events: readonly EventRow[] = []): Shipment {
  const { failedBy, failureCode: code, failureReason: reason } = row;
  return {
    shipmentId: encodeId(row.shipmentId),
    orderId: encodeId(row.orderId),
    locationId: row.locationId,
    status: row.status,
    lines: row.lines,
    address: row.address ?? undefined,
    sagaId: row.sagaId,
    carrier: row.carrier,
    trackingNumber: row.trackingNumber ?? "",
    failure: failedBy ? { by: failedBy, code, reason } : undefined,
    cancelRequested: row.cancelRequested,
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

/** A decision about a shipment that is locked. */
export interface ShipmentChange {
  readonly shipment: Shipment;
  /** When to ask warehouse or carrier again, in milliseconds from now; `as it is`, or null: there is nothing to ask. */
  readonly dueMs: number | "as it is" | null;
  /** Whether its saga has to be told how it ended. */
  readonly tell?: boolean;
  /** The trace that goes on from here; empty, or none: as it is. */
  readonly traceparent?: string;
  /** What is written down with it; see `effectOf`. */
  readonly effect?: AuditEntry | undefined;
  /** Whether its status is another one than before. */
  readonly moved?: boolean;
}

/** Writes {@link savedValues}; the rows are locked by the transaction. */
export const saveShipments: SqlText = {
  name: "shipment_save",
  text: `with audited as (${insertAuditEvents("$2")})
    update shipment s set status = c.status, carrier = c.carrier, tracking_number = c.tracking_number,
      failed_by = c.failed_by, failure_code = c.failure_code, failure_reason = c.failure_reason,
      cancel_requested = c.cancel_requested, attempts = c.attempts,
      due_time = case when c.keep_due then s.due_time else clock_timestamp() + c.due_ms * interval '1 millisecond' end,
      report_due_time = case when c.tell then coalesce(s.report_due_time, clock_timestamp()) else s.report_due_time end,
      traceparent = coalesce(c.traceparent, s.traceparent),
      trace_time = case when c.traceparent is null then s.trace_time else clock_timestamp() end,
      update_time = clock_timestamp()
    from jsonb_to_recordset($1::jsonb) as c(shipment_id uuid, status text, carrier text, tracking_number text,
      failed_by text, failure_code text, failure_reason text, cancel_requested boolean, attempts int4, due_ms float8,
      keep_due boolean, tell boolean, traceparent text)
    where s.shipment_id = c.shipment_id`,
};

/** The parameters of {@link saveShipments}. */
export function savedValues(changes: readonly ShipmentChange[]): [string, string] {
  const rows = JSON.stringify(changes.map(savedRow));
  return [rows, auditEvents(changes.flatMap(({ effect }) => (effect ? [effect] : [])))];
}

function savedRow({ shipment, dueMs, tell = false, traceparent = "" }: ShipmentChange): Record<string, unknown> {
  return {
    shipment_id: decodeId(shipment.shipmentId),
    status: shipment.status,
    carrier: shipment.carrier,
    tracking_number: shipment.trackingNumber || null,
    failed_by: shipment.failure?.by ?? null,
    failure_code: shipment.failure?.code ?? "",
    failure_reason: shipment.failure?.reason ?? "",
    cancel_requested: shipment.cancelRequested,
    attempts: shipment.attempts,
    due_ms: dueMs === "as it is" ? null : dueMs,
    keep_due: dueMs === "as it is",
    tell,
    traceparent: traceparent || null,
  };
}

const insertKeys: SqlText = {
  name: "shipment_keys",
  text: `insert into idempotency_key (method, request_id, fingerprint, response)
    select $1::text, * from unnest($2::text[], $3::bytea[], $4::bytea[])`,
};

/** What a mutation did to which shipment. */
export interface ShipmentRef {
  readonly shipmentId: string;
}

/** The end of a mutation's transaction. */
export interface Ending<R extends ShipmentRef> {
  /** The mutation, as in the keys. */
  readonly method: string;
  readonly inputs: readonly Keyed[];
  /** What each input is answered with; a refused one leaves no key. */
  readonly outputs: readonly (R | Error)[];
  readonly changes: readonly ShipmentChange[];
}

/**
 * Writes changes and keys, and commits. A key holds the id of the shipment and no more: a repetition is answered with that
 * shipment as it stands then, and an address is kept in one place only.
 */
export async function commit<R extends ShipmentRef>(tx: Transaction, ending: Ending<R>): Promise<void> {
  const keys = ending.outputs.flatMap((output, index): IdempotencyRow[] => {
    const input = ending.inputs[index];
    if (!input || output instanceof Error) return [];
    return [{ requestId: input.requestId, fingerprint: input.fingerprint, response: Buffer.from(output.shipmentId) }];
  });
  const saved = ending.changes.length > 0 ? tx.query(saveShipments, savedValues(ending.changes)) : undefined;
  const written = keys.length > 0 ? tx.commitWith(insertKeys, [ending.method, ...idempotencyColumns(keys)]) : undefined;
  await Promise.all([saved, written]);
}

/** The reverse of what {@link commit} wrote into a key. */
export function decodeRef(response: Buffer): ShipmentRef {
  return { shipmentId: response.toString() };
}
