import { selectList } from "#platform/database/columns.ts";
import { encodeId } from "#platform/id.ts";
import type { AuditOrigin } from "./audit-entry.ts";

/** One effect that was written down. Ids are text. */
export interface AuditEvent extends AuditOrigin {
  readonly eventId: string;
  /** By the database's clock, to the millisecond. */
  readonly time: Date;
  readonly action: string;
  /** Empty when there is none. */
  readonly orderId: string;
  readonly subject: string;
  readonly details: Readonly<Record<string, string>>;
}

/** An event as a statement returns it. */
export interface AuditEventRow {
  event_id: string;
  time: Date;
  /** `xid8`, as text. */
  transaction: string;
  action: string;
  order_id: string | null;
  subject: string;
  details: Record<string, string>;
  actor: string;
  request_id: string;
  trace_id: string | null;
}

/** The columns of {@link AuditEventRow}. */
export const auditColumns = selectList<AuditEventRow>({
  event_id: true,
  time: true,
  transaction: true,
  action: true,
  order_id: true,
  subject: true,
  details: true,
  actor: true,
  request_id: true,
  trace_id: true,
});

/** The event of a row. */
export function toAuditEvent(row: AuditEventRow): AuditEvent {
  return {
    eventId: encodeId(row.event_id),
    time: row.time,
    action: row.action,
    orderId: row.order_id === null ? "" : encodeId(row.order_id),
    subject: row.subject,
    details: row.details,
    actor: row.actor,
    requestId: row.request_id,
    traceId: row.trace_id?.replaceAll("-", "") ?? "",
  };
}
