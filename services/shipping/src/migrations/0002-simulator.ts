import { Migration } from "@mikro-orm/migrations";

/** What the simulated carrier and warehouse remember. It is their world, not ours: nothing joins it with our tables. */
export class CreateSimulator extends Migration {
  override up(): void {
    this.addSql("create schema simulator");
    this.addSql("grant usage on schema simulator to shipping");
    this.addSql(`create table simulator.booking (
      key text primary key,
      state text not null constraint booking_state_check check (state in ('unknown', 'booked', 'refused', 'cancelled')),
      calls int4 not null,
      tracking_number text not null,
      refusal text not null default '',
      lost boolean not null,
      transit_ms int4 not null,
      book_time timestamptz,
      stage int4 not null default 0,
      next_time timestamptz,
      report_attempts int4 not null default 0
    )`);
    this.addSql("create index booking_next_idx on simulator.booking (next_time) where next_time is not null");
    this.addSql(`create table simulator.packing (
      shipment_id uuid primary key,
      begin_time timestamptz not null,
      ready_time timestamptz not null,
      failure text not null default ''
    )`);
    this.addSql("grant select, insert, update on all tables in schema simulator to shipping");
  }

  override down(): void {
    this.addSql("drop schema simulator cascade");
  }
}
