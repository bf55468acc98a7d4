import { Migration } from "@mikro-orm/migrations";
import { auditTable, dropAuditTable } from "#platform/audit/audit-table.ts";

/** Who did what with which order. */
export class Audit extends Migration {
  override up(): void {
    for (const sql of auditTable("orders")) this.addSql(sql);
  }

  override down(): void {
    for (const sql of dropAuditTable) this.addSql(sql);
  }
}
