import { Migration } from "@mikro-orm/migrations";

/** When an order was accepted, by the clock of the database: what is decided by its age must not depend on a replica's. */
export class AcceptTime extends Migration {
  override up(): void {
    // Rows that are there keep null: of them it is their create_time, and none is written again.
    this.addSql("alter table customer_order add column accept_time timestamptz");
    this.addSql("alter table customer_order alter column accept_time set default now()");
    this.addSql(
      "comment on column customer_order.accept_time is 'when it was accepted, by this server; null: create_time, from before'",
    );
  }

  override down(): void {
    this.addSql("alter table customer_order drop column accept_time");
  }
}
