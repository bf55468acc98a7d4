import { type AuditEntry, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { writtenColumns } from "#platform/database/columns.ts";
import {
  type IdempotencyRow,
  idempotencyColumns,
  type Keyed,
  type KeySpace,
  keyMethod,
} from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import type { Shipment, ShipmentFailure, ShipmentStatus } from "./shipment.ts";

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
  /** Whether the warehouse has to hear that it was called off. */
  readonly callOff?: boolean;
}

/** The columns that a change writes as they are. */
interface ChangedColumns {
  readonly status: ShipmentStatus;
  readonly carrier: string;
  readonly tracking_number: string | null;
  readonly failed_by: ShipmentFailure["by"] | null;
  readonly failure_code: string;
  readonly failure_reason: string;
  readonly cancel_requested: boolean;
  readonly attempts: number;
}

/** What the others follow from. */
interface ChangeTerms {
  readonly shipment_id: string;
  readonly due_ms: number | null;
  readonly keep_due: boolean;
  readonly tell: boolean;
  readonly traceparent: string | null;
  readonly fence: number;
  readonly call_off: boolean;
}

const changedColumns = writtenColumns<ChangedColumns>({
  status: "text",
  carrier: "text",
  tracking_number: "text",
  failed_by: "text",
  failure_code: "text",
  failure_reason: "text",
  cancel_requested: "boolean",
  attempts: "int4",
});
const changeTerms = writtenColumns<ChangeTerms>({
  shipment_id: "uuid",
  due_ms: "float8",
  keep_due: "boolean",
  tell: "boolean",
  traceparent: "text",
  fence: "int",
  call_off: "boolean",
});

/** Writes {@link savedValues}; the rows are locked by the transaction. */
export const saveShipments: SqlText = {
  name: "shipment_save",
  text: `with audited as (${insertAuditEvents("$2")}),
    called_off as (
      insert into call_off (shipment_id) select c.shipment_id
      from jsonb_to_recordset($1::jsonb) as c(shipment_id uuid, call_off boolean) where c.call_off on conflict (shipment_id) do nothing)
    update shipment s set ${changedColumns.assigned("c")},
      due_time = case when c.keep_due then s.due_time else clock_timestamp() + c.due_ms * interval '1 millisecond' end,
      report_due_time = case when c.tell then coalesce(s.report_due_time, clock_timestamp()) else s.report_due_time end,
      traceparent = coalesce(c.traceparent, s.traceparent), fence = greatest(s.fence, c.fence),
      trace_time = case when c.traceparent is null then s.trace_time else clock_timestamp() end,
      update_time = clock_timestamp()
    from jsonb_to_recordset($1::jsonb) as c(${changedColumns.typed}, ${changeTerms.typed})
    where s.shipment_id = c.shipment_id`,
};

/** The parameters of {@link saveShipments}. */
export function savedValues(changes: readonly ShipmentChange[]): [string, string] {
  const rows = JSON.stringify(changes.map(toSavedRow));
  return [rows, auditEvents(changes.flatMap(({ effect }) => (effect ? [effect] : [])))];
}

function toSavedRow(change: ShipmentChange): ChangedColumns & ChangeTerms {
  const { shipment, dueMs, tell = false, traceparent = "", callOff = false } = change;
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
    fence: shipment.fence,
    call_off: callOff,
  };
}

const insertKeys: SqlText = {
  name: "shipment_keys",
  text: `insert into idempotency_key (method, request_id, fingerprint, response)
    select * from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[])`,
};

/** What a mutation did to which shipment. */
export interface ShipmentRef {
  readonly shipmentId: string;
}

/** The end of a mutation's transaction. */
export interface Ending<I extends Keyed, R extends ShipmentRef> {
  readonly keys: KeySpace<I>;
  readonly inputs: readonly I[];
  /** What each input is answered with; a refused one leaves no key. */
  readonly outputs: readonly (R | Error)[];
  readonly changes: readonly ShipmentChange[];
}

/**
 * Writes changes and keys, and commits. A key holds the id of the shipment and no more: a repetition is answered with that
 * shipment as it stands then, and an address is kept in one place only.
 */
export async function commit<I extends Keyed, R extends ShipmentRef>(
  tx: Transaction,
  ending: Ending<I, R>,
): Promise<void> {
  const keys = ending.outputs.flatMap((output, index): IdempotencyRow[] => {
    const input = ending.inputs[index];
    if (!input || output instanceof Error) return [];
    const { requestId, fingerprint } = input;
    const method = keyMethod(ending.keys, input);
    return [{ method, requestId, fingerprint, response: Buffer.from(output.shipmentId) }];
  });
  const saved = ending.changes.length > 0 ? tx.query(saveShipments, savedValues(ending.changes)) : undefined;
  const written = keys.length > 0 ? tx.commitWith(insertKeys, idempotencyColumns(keys)) : undefined;
  await Promise.all([saved, written]);
}

/** The reverse of what {@link commit} wrote into a key. */
export function decodeRef(response: Buffer): ShipmentRef {
  return { shipmentId: response.toString() };
}

/** The request ids of one mutation: what is done for an order has that order's. */
export function shipmentKeys(method: string): KeySpace<{ readonly orderId: string }> {
  return { method, scope: ({ orderId }) => orderId };
}
