import { Migration } from "@mikro-orm/migrations";
import { type AuditEntry, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { type AuditEvent, type AuditEventRow, auditColumns, toAuditEvent } from "#platform/audit/audit-event.ts";
import { auditTable, dropAuditTable } from "#platform/audit/audit-table.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { dropEventSequence, eventSequence, eventSequenceIndexes } from "#platform/events/event-sequence.ts";
import { type TestDatabase, testDatabase } from "./postgres.ts";

/** The audit log of a service, in the order in which it is published. */
export async function readAuditLog(database: Queryable): Promise<AuditEvent[]> {
  const text = `select ${auditColumns} from audit_event order by transaction, event_id`;
  return (await database.query<AuditEventRow>(text)).map(toAuditEvent);
}

class Audited extends Migration {
  override up(): void {
    for (const sql of [...auditTable("platform"), ...eventSequence("platform")]) this.addSql(sql);
    for (const [name, of] of Object.entries(eventSequenceIndexes)) this.addSql(`create index ${name} on ${of}`);
  }

  override down(): void {
    for (const sql of [...dropEventSequence, ...dropAuditTable]) this.addSql(sql);
  }
}

/**
 * A database with nothing but an audit log.
 *
 * @param adminUrl a superuser's connection to another server than the usual one
 */
export function auditedDatabase(adminUrl?: string): Promise<TestDatabase> {
  const migrations = [{ name: "0001", class: Audited }];
  return testDatabase("platform", { entities: [], migrations, ...(adminUrl ? { adminUrl } : {}) });
}

/** An event, as nobody in particular caused it. */
export function auditEntry(given: Partial<AuditEntry> = {}): AuditEntry {
  const origin = { actor: "service:worker", requestId: "step", traceId: "" };
  return { action: "payment.captured", origin, ...given };
}

/** Writes events as a service's statement does. */
export async function writeAuditEvents(database: Queryable, entries: readonly AuditEntry[]): Promise<void> {
  await database.query(insertAuditEvents("$1"), [auditEvents(entries)]);
}
