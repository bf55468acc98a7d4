import type { Database } from "#platform/database/database.ts";
import type { SqlText, Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { shipmentNotFound } from "./errors.ts";
import type { Shipment, TrackingEvent } from "./shipment.ts";
import {
  type EventRow,
  type ShipmentChange,
  type ShipmentRow,
  savedJson,
  saveShipments,
  shipmentColumns,
  toShipment,
} from "./shipment-rows.ts";
import { applyEvents, isOver, newEvents } from "./tracking.ts";

/** A report of the carrier on one parcel. */
export interface TrackingReport {
  readonly trackingNumber: string;
  readonly event: TrackingEvent;
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

/** A statement of its own: behind a lock that was waited for, the locking one would show the events of before. */
const eventsByNumber: SqlText = {
  name: "tracking_events",
  text: `select e.shipment_id as "shipmentId", e.event_id as "eventId", e.kind, e.event_time as "eventTime", e.place
    from shipment s join tracking_event e on e.shipment_id = s.shipment_id where s.tracking_number = any($1::text[])`,
};

const insertEvents: SqlText = {
  name: "tracking_insert",
  text: `insert into tracking_event (shipment_id, event_id, kind, event_time, place)
    select n.shipment_id, n.event_id, n.kind, n.event_time, n.place
    from jsonb_to_recordset($1::jsonb) as n(shipment_id uuid, event_id text, kind text, event_time timestamptz, place text)`,
};

/** Takes what carriers report. */
export class TrackingRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Applies reports, in any order and repeated; each is answered with its shipment, or refused with SHIPMENT_NOT_FOUND. */
  record(reports: readonly TrackingReport[]): Promise<(TrackedShipment | Error)[]> {
    return this.#database.transaction(async (tx) => {
      const before = await lock(tx, [...new Set(reports.map((report) => report.trackingNumber))]);
      const after = new Map<string, TrackedShipment>();
      const changes: ShipmentChange[] = [];
      const added: object[] = [];
      for (const [trackingNumber, shipment] of before) {
        const reported = reports.filter((each) => each.trackingNumber === trackingNumber).map((each) => each.event);
        const fresh = newEvents(shipment, reported);
        const next = applyEvents(shipment, fresh);
        after.set(trackingNumber, { shipment: next, ended: isOver(next) && next.status !== shipment.status });
        if (fresh.length === 0) continue;
        changes.push({ shipment: next, dueMs: null, tell: isOver(next) && !next.told && next.sagaId !== "" });
        added.push(...fresh.map((event) => eventRow(shipment, event)));
      }
      if (changes.length > 0) {
        const saved = tx.query(saveShipments, [savedJson(changes)]);
        await Promise.all([saved, tx.commitWith(insertEvents, [JSON.stringify(added)])]);
      }
      return reports.map(
        ({ trackingNumber }) => after.get(trackingNumber) ?? shipmentNotFound({ tracking_number: trackingNumber }),
      );
    });
  }
}

async function lock(tx: Transaction, numbers: readonly string[]): Promise<Map<string, Shipment>> {
  const [rows, events] = await Promise.all([
    tx.query<ShipmentRow>(lockByNumber, [numbers]),
    tx.query<EventRow & { shipmentId: string }>(eventsByNumber, [numbers]),
  ]);
  const byShipment = Map.groupBy(events, (event) => encodeId(event.shipmentId));
  const shipments = rows.map((row) => toShipment(row, byShipment.get(encodeId(row.shipmentId))));
  return new Map(shipments.map((shipment) => [shipment.trackingNumber, shipment]));
}

function eventRow(shipment: Shipment, event: TrackingEvent): object {
  return {
    shipment_id: decodeId(shipment.shipmentId),
    event_id: event.eventId,
    kind: event.kind,
    event_time: event.eventTime.toISOString(),
    place: event.place,
  };
}
