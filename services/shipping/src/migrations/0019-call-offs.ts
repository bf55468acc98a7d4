import { Migration } from "@mikro-orm/migrations";

/** Shipments of whose call-off the warehouse has not heard: few, and in a table of their own. */
export class CallOffs extends Migration {
  override up(): void {
    this.addSql(`create table call_off (
      shipment_id uuid constraint call_off_pkey primary key references shipment,
      create_time timestamptz not null default now(),
      due_time timestamptz not null default now(),
      attempts int4 not null default 0
    )`);
    this.addSql(
      "comment on table call_off is 'shipments that were called off, until the warehouse that packs them has heard of it'",
    );
    this.addSql("comment on column call_off.due_time is 'when to tell the warehouse again'");
    this.addSql("create index call_off_due_idx on call_off (due_time)");
    this.addSql("grant select, insert, delete, update (due_time, attempts) on call_off to shipping");
  }

  override down(): void {
    this.addSql("drop table call_off");
  }
}
