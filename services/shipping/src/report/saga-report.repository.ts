import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId } from "#platform/id.ts";
import type { Shipment } from "../shipment/shipment.ts";
import { type ShipmentRow, shipmentColumns, toShipment } from "../shipment/shipment-row.ts";

/** Claiming counts as having told: from here on the status stays, see `applyEvents`. */
const claimDue: SqlText = {
  name: "report_claim",
  text: `update shipment s set report_attempts = s.report_attempts + 1,
      report_due_time = clock_timestamp() + $1 * interval '1 millisecond'
    where s.shipment_id = any(array(
      select shipment_id from shipment where report_due_time <= now()
      order by report_due_time limit $2 for update skip locked))
    returning ${shipmentColumns}`,
};

const taken: SqlText = {
  name: "report_taken",
  text: `update shipment set report_time = clock_timestamp(), report_due_time = null
    where shipment_id = any($1::uuid[]) and report_time is null`,
};

const defer: SqlText = {
  name: "report_defer",
  text: `update shipment s set report_due_time = clock_timestamp()
      + least($2::float8, $3::float8 * 2 ^ least(s.report_attempts, 20)) * interval '1 millisecond'
    where s.shipment_id = any($1::uuid[]) and s.report_time is null`,
};

/** The shortest and the longest pause before the saga is told again, in milliseconds. */
const pauses = { first: 250, longest: 60_000 };

/** The outbox to the sagas: the shipments that ended and whose saga has not taken it yet. */
export class SagaReportRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Shipments whose saga is to be told now; nobody else gets them for the time of the lease. */
  async claimDue(leaseMs: number, limit: number): Promise<Shipment[]> {
    const rows = await this.#database.query<ShipmentRow>(claimDue, [leaseMs, limit]);
    return rows.map((row) => toShipment(row));
  }

  /** The sagas of these have taken it. */
  async taken(shipments: readonly Shipment[]): Promise<void> {
    if (shipments.length > 0) await this.#database.query(taken, [idsOf(shipments)]);
  }

  /** The sagas of these have not: they are told again after a pause that doubles. */
  async defer(shipments: readonly Shipment[]): Promise<void> {
    if (shipments.length === 0) return;
    await this.#database.query(defer, [idsOf(shipments), pauses.longest, pauses.first / 2]);
  }
}

function idsOf(shipments: readonly Shipment[]): string[] {
  return shipments.map((shipment) => decodeId(shipment.shipmentId));
}
