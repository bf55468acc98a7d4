import { Migration } from "@mikro-orm/migrations";

/** What the simulated carrier and warehouse remember: a row for each parcel, label and shipment. */
export class ParcelsMigration extends Migration {
  override up(): void {
    this.addSql(`create table carrier_parcel (
      key text collate "C" constraint carrier_parcel_pkey primary key,
      state text not null constraint carrier_parcel_state_check check (state in ('unknown', 'booked', 'refused', 'cancelled')),
      calls int4 not null,
      tracking_number text not null,
      refusal text not null default '',
      lost boolean not null,
      unreported boolean not null default false,
      forgotten boolean not null default false,
      transit_ms int4 not null,
      book_time timestamptz not null default now(),
      turn_back text not null default '',
      turn_calls int4 not null default 0,
      turn_stage int4 not null default 0,
      turn_time timestamptz,
      stage int4 not null default 0,
      next_time timestamptz,
      report_attempts int4 not null default 0
    ) with (fillfactor = 85)`);
    this.addSql("comment on table carrier_parcel is 'what the simulated carrier was asked to take'");
    this.addSql("comment on column carrier_parcel.book_time is 'when it is booked: until then it is undecided'");
    this.addSql(
      "comment on column carrier_parcel.turn_back is 'what it does when it is asked to turn the parcel back'",
    );
    this.addSql("create index carrier_parcel_next_idx on carrier_parcel (next_time) where next_time is not null");
    this.addSql(`create table carrier_label (
      key text collate "C" constraint carrier_label_pkey primary key,
      calls int4 not null default 1,
      tracking_number text not null,
      slow boolean not null,
      make_time timestamptz not null
    )`);
    this.addSql("comment on table carrier_label is 'labels of returns that the simulated carrier made'");
    this.addSql(`create table warehouse_packing (
      shipment_id uuid constraint warehouse_packing_pkey primary key,
      begin_time timestamptz not null,
      ready_time timestamptz not null,
      failure text not null default ''
    )`);
    this.addSql("comment on table warehouse_packing is 'what the simulated warehouse packs, and has packed'");
    this.addSql("grant select, insert, update on carrier_parcel, carrier_label, warehouse_packing to simulators");
  }

  override down(): void {
    this.addSql("drop table warehouse_packing");
    this.addSql("drop table carrier_label");
    this.addSql("drop table carrier_parcel");
  }
}
