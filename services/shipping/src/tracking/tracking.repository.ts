import type { AuditOrigin } from "#platform/audit/audit-entry.ts";
import { type ColumnsOf, writtenColumns } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { traceIdOf } from "#platform/trace-parent.ts";
import { shipmentNotFound } from "../shipment/errors.ts";
import type { OnMoved } from "../shipment/metrics.ts";
import type { Shipment, TrackingEvent } from "../shipment/shipment.ts";
import { effectOf } from "../shipment/shipment-audit.ts";
import { type ShipmentChange, savedValues, saveShipments } from "../shipment/shipment-change.ts";
import {
  type EventRow,
  eventColumns,
  type ShipmentRow,
  shipmentColumns,
  toShipment,
} from "../shipment/shipment-row.ts";
import { applyEvents, decisiveEvent, isOver, newEvents } from "./tracking-events.ts";

/** A report of the carrier on one shipment. */
export interface TrackingReport {
  readonly trackingNumber: string;
  readonly event: TrackingEvent;
}

/** A report with whoever makes it. */
export interface SubmittedReport extends TrackingReport {
  readonly origin: AuditOrigin;
}

/** What a report did. */
export interface TrackedShipment {
  readonly shipment: Shipment;
  /** The reports that went with it ended the shipment, or ended it otherwise than before. */
  readonly ended: boolean;
}

const lockByNumber: SqlText = {
  name: "tracking_lock",
  text: `select ${shipmentColumns} from shipment s where s.tracking_number = any($1::text[])
    order by s.order_id, s.location_id for update of s`,
};

interface FoundEvent extends EventRow {
  readonly shipmentId: string;
}

/** A statement of its own: behind a lock that was waited for, the locking one would show the events of before. */
const eventsByNumber: SqlText = {
  name: "tracking_events",
  text: `select e.shipment_id as "shipmentId", ${eventColumns}
    from shipment s join tracking_event e on e.shipment_id = s.shipment_id where s.tracking_number = any($1::text[])`,
};

/** A report as it is inserted; the time as ISO 8601. */
interface InsertedEvent extends ColumnsOf<Omit<TrackingEvent, "eventTime">> {
  readonly shipment_id: string;
  readonly event_time: string;
}

const insertedColumns = writtenColumns<InsertedEvent>({
  shipment_id: "uuid",
  event_id: "text",
  kind: "text",
  event_time: "timestamptz",
  place: "text",
});

const insertEvents: SqlText = {
  name: "tracking_insert",
  text: `insert into tracking_event (${insertedColumns.names}) select ${insertedColumns.names}
    from jsonb_to_recordset($1::jsonb) as n(${insertedColumns.typed})`,
};

/** Takes what carriers report. */
export class TrackingRepository {
  readonly #database: Database;
  readonly #onMoved: OnMoved;

  constructor(database: Database, onMoved: OnMoved = () => undefined) {
    this.#database = database;
    this.#onMoved = onMoved;
  }

  /** Applies reports, in any order and repeated; each is answered with its shipment, or refused with SHIPMENT_NOT_FOUND. */
  async record(reports: readonly SubmittedReport[]): Promise<(TrackedShipment | Error)[]> {
    const after = await this.#database.transaction(async (tx) => {
      const before = await lock(tx, [...new Set(reports.map((report) => report.trackingNumber))]);
      const tracked = new Map<string, Tracked>();
      for (const [trackingNumber, shipment] of before) {
        const own = reports.filter((each) => each.trackingNumber === trackingNumber);
        tracked.set(trackingNumber, track(shipment, own));
      }
      const changed = [...tracked.values()].filter(({ added }) => added.length > 0);
      if (changed.length > 0) {
        const saved = tx.query(saveShipments, savedValues(changed.map(({ change }) => change)));
        const rows = changed.flatMap(({ shipment, added }) => added.map((event) => toInsertedRow(shipment, event)));
        await Promise.all([saved, tx.commitWith(insertEvents, [JSON.stringify(rows)])]);
      }
      return tracked;
    });
    this.#onMoved([...after.values()].filter(({ ended }) => ended).map(({ shipment }) => shipment));
    return reports.map(
      ({ trackingNumber }) => after.get(trackingNumber) ?? shipmentNotFound({ tracking_number: trackingNumber }),
    );
  }
}

/** A shipment after its reports, and what is to be written. */
interface Tracked extends TrackedShipment {
  readonly change: ShipmentChange;
  readonly added: readonly TrackingEvent[];
}

function track(before: Shipment, reports: readonly SubmittedReport[]): Tracked {
  const added = newEvents(
    before,
    reports.map((report) => report.event),
  );
  const shipment = applyEvents(before, added);
  const ended = isOver(shipment) && shipment.status !== before.status;
  const tell = isOver(shipment) && !shipment.told && shipment.sagaId !== "";
  return {
    shipment,
    ended,
    added,
    change: { shipment, dueMs: null, tell, effect: effectOfReports(before, shipment, reports) },
  };
}

/** Whoever made the report that decides has caused it, in the order's own trace when that is kept. */
function effectOfReports(
  before: Shipment,
  after: Shipment,
  reports: readonly SubmittedReport[],
): ShipmentChange["effect"] {
  const decisive = decisiveEvent(after);
  const origin = reports.find(({ event }) => event.eventId === decisive?.eventId)?.origin;
  if (!origin) return undefined;
  const traceId = traceIdOf(after.trace.traceparent) || origin.traceId;
  return effectOf(after, { from: before.status, to: after.status }, { ...origin, traceId });
}

async function lock(tx: Transaction, numbers: readonly string[]): Promise<Map<string, Shipment>> {
  const [rows, events] = await Promise.all([
    tx.query<ShipmentRow>(lockByNumber, [numbers]),
    tx.query<FoundEvent>(eventsByNumber, [numbers]),
  ]);
  const byShipment = Map.groupBy(events, (event) => encodeId(event.shipmentId));
  const shipments = rows.map((row) => toShipment(row, byShipment.get(encodeId(row.shipmentId))));
  return new Map(shipments.map((shipment) => [shipment.trackingNumber, shipment]));
}

function toInsertedRow(shipment: Shipment, event: TrackingEvent): InsertedEvent {
  return {
    shipment_id: decodeId(shipment.shipmentId),
    event_id: event.eventId,
    kind: event.kind,
    event_time: event.eventTime.toISOString(),
    place: event.place,
  };
}
