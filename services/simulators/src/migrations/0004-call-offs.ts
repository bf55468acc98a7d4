import { Migration } from "@mikro-orm/migrations";

/** What the simulated warehouse was told not to pack. */
export class CallOffsMigration extends Migration {
  override up(): void {
    this.addSql("alter table warehouse_packing add column called_off boolean not null default false");
  }

  override down(): void {
    this.addSql("alter table warehouse_packing drop column called_off");
  }
}
