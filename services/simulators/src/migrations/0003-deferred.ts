import { Migration } from "@mikro-orm/migrations";

/** What was voided, and is given free with the last operation of its authorization: only where the simulated gateway is such a one. */
export class DeferredMigration extends Migration {
  override up(): void {
    this.addSql("alter table gateway_record add column deferred bigint not null default 0");
    this.addSql("grant update (deferred) on gateway_record to simulators");
  }

  override down(): void {
    this.addSql("alter table gateway_record drop column deferred");
  }
}
