import { Migration } from "@mikro-orm/migrations";
import { auditTable, dropAuditTable } from "#platform/audit/audit-table.ts";

/** Who moved which money; and with each operation who wanted it, as another process may carry it on. */
export class AuditMigration extends Migration {
  override up(): void {
    for (const sql of auditTable("payments")) this.addSql(sql);
    this.addSql(`alter table payment_operation add column actor text not null default '',
      add column request_id text not null default '', add column traceparent text not null default ''`);
  }

  override down(): void {
    this.addSql("alter table payment_operation drop column actor, drop column request_id, drop column traceparent");
    for (const sql of dropAuditTable) this.addSql(sql);
  }
}
