import { Migration } from "@mikro-orm/migrations";
import { auditTable, dropAuditTable } from "#platform/audit/audit-table.ts";

/** The audit log: who reserved, confirmed, took, gave back and adjusted which stock. */
export class Audit extends Migration {
  override up(): void {
    for (const sql of auditTable("inventory")) this.addSql(sql);
  }

  override down(): void {
    for (const sql of dropAuditTable) this.addSql(sql);
  }
}
