import { type AuditEntry, type AuditOrigin, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { writtenColumns } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId } from "#platform/id.ts";
import type { Moved, OnMoved } from "../shipment/metrics.ts";
import { outsideFailure } from "../shipment/outside-text.ts";
import { type Shipment, type ShipmentFailure, type ShipmentStatus, sourcesOf } from "../shipment/shipment.ts";
import { effectOf, ownOrigin } from "../shipment/shipment-audit.ts";
import { type ShipmentRow, shipmentColumns, toShipment } from "../shipment/shipment-row.ts";
import type { PackingState } from "./warehouse.ts";

/** What the warehouse said about one shipment. */
export interface PackingReport {
  readonly shipment: Pick<Shipment, "shipmentId" | "orderId" | "locationId" | "trace">;
  readonly state: PackingState;
  /** Who said it; undefined: the service was told by the warehouse that it asked. */
  readonly origin?: AuditOrigin;
}

const claimDue: SqlText = {
  name: "packing_claim",
  text: `update shipment s set due_time = clock_timestamp() + $1 * interval '1 millisecond'
    where s.shipment_id = any(array(
      select shipment_id from shipment where status = 'preparing' and due_time <= now()
      order by due_time limit $2 for update skip locked))
    returning ${shipmentColumns}`,
};

/** The columns of a shipment that are written as they are. */
interface SettledColumns {
  readonly status: ShipmentStatus;
  readonly failed_by: ShipmentFailure["by"] | null;
  readonly failure_code: string;
  readonly failure_reason: string;
}

/** Which shipment, its place among the reports, and when to ask again. */
interface SettledTerms {
  readonly n: number;
  readonly shipment_id: string;
  readonly due_ms: number | null;
}

const settledColumns = writtenColumns<SettledColumns>({
  status: "text",
  failed_by: "text",
  failure_code: "text",
  failure_reason: "text",
});
const settledTerms = writtenColumns<SettledTerms>({ n: "int", shipment_id: "uuid", due_ms: "float8" });

/** What was called off meanwhile stays called off. */
const settle: SqlText = {
  name: "packing_settle",
  text: `with input as materialized (
      select * from jsonb_to_recordset($1::jsonb) as c(${settledTerms.typed}, ${settledColumns.typed})
    ), settled as (
      update shipment s set ${settledColumns.assigned("c")},
        due_time = clock_timestamp() + c.due_ms * interval '1 millisecond',
        update_time = case when c.status = s.status then s.update_time else clock_timestamp() end
      from input c where s.shipment_id = c.shipment_id and s.status = any($2::text[])
      returning c.n, s.status, s.create_time as "createTime"
    ), audited as (${insertAuditEvents("$3", { join: "join settled c on c.n = a.n" })})
    select status, "createTime" from settled`,
};

const outcomes = { packing: "preparing", packed: "ready", failed: "failed" } as const satisfies Record<
  PackingState["kind"],
  ShipmentStatus
>;

/** Follows the packing of shipments. */
export class PackingRepository {
  readonly #database: Database;
  readonly #onMoved: OnMoved;

  constructor(database: Database, onMoved: OnMoved = () => undefined) {
    this.#database = database;
    this.#onMoved = onMoved;
  }

  /** Shipments about which the warehouse is to be asked now; nobody else gets them for the time of the lease. */
  async claimDue(leaseMs: number, limit: number): Promise<Shipment[]> {
    const rows = await this.#database.query<ShipmentRow>(claimDue, [leaseMs, limit]);
    return rows.map((row) => toShipment(row));
  }

  /** Writes down what the warehouse said, in one statement. */
  async settle(reports: readonly PackingReport[]): Promise<void> {
    const rows = reports.map(toSettledRow);
    const values = [JSON.stringify(rows), sourcesOf("ready"), auditEvents(effectsOf(reports))];
    const settled = await this.#database.query<Moved>(settle, values);
    this.#onMoved(settled.filter(({ status }) => status !== outcomes.packing));
  }
}

function toSettledRow({ shipment, state }: PackingReport, n: number): SettledColumns & SettledTerms {
  const failure = state.kind === "failed" ? outsideFailure(state.code, state.message) : undefined;
  return {
    n,
    shipment_id: decodeId(shipment.shipmentId),
    status: outcomes[state.kind],
    failed_by: failure ? "warehouse" : null,
    failure_code: failure?.code ?? "",
    failure_reason: failure?.reason ?? "",
    due_ms: state.kind === "packing" ? state.askAgainMs : null,
  };
}

function effectsOf(reports: readonly PackingReport[]): AuditEntry[] {
  return reports.flatMap(({ shipment, state, origin = ownOrigin(shipment.trace) }, n) => {
    const change = { from: outcomes.packing, to: outcomes[state.kind] };
    const effect = effectOf(shipment, change, origin);
    return effect ? [{ ...effect, n }] : [];
  });
}
