import { Migration } from "@mikro-orm/migrations";

/** The last episode of its order that has asked about a shipment. No index has it: a row that changes stays in its place. */
export class Fence extends Migration {
  override up(): void {
    this.addSql("alter table shipment add column fence int4 not null default 0");
    this.addSql(
      "comment on column shipment.fence is 'the highest number of an episode of the order that has asked about it; 0: none had one'",
    );
    this.addSql("grant update (fence) on shipment to shipping");
  }

  override down(): void {
    this.addSql("alter table shipment drop column fence");
  }
}
