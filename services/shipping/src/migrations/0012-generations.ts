import { Migration } from "@mikro-orm/migrations";

/** A shipment that was called off gives way to another one from the same location: there is one row for each location of an order. */
export class Generations extends Migration {
  override up(): void {
    this.addSql("alter table shipment add column generation int4 not null default 0");
    this.addSql(
      "comment on column shipment.location_id is 'of one that has given way to a later one: with ~ and its generation'",
    );
    this.addSql("grant update (location_id) on shipment to shipping");
  }

  override down(): void {
    this.addSql("revoke update (location_id) on shipment from shipping");
    this.addSql("comment on column shipment.location_id is null");
    this.addSql("alter table shipment drop column generation");
  }
}
