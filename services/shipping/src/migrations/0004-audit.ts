import { Migration } from "@mikro-orm/migrations";
import { auditTable, dropAuditTable } from "#platform/audit/audit-table.ts";

/** The audit log: who had which shipment created, booked and called off, and how it ended. */
export class Audit extends Migration {
  override up(): void {
    for (const sql of auditTable("shipping")) this.addSql(sql);
  }

  override down(): void {
    for (const sql of dropAuditTable) this.addSql(sql);
  }
}
