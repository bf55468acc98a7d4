import { Migration } from "@mikro-orm/migrations";

/**
 * Carrier and warehouse are behind connectors, and so are the simulated ones: what these remembered goes, and of parcels that they still had nothing more is
 * reported. The way back brings it back empty.
 */
export class Connectors extends Migration {
  override up(): void {
    this.addSql("drop schema simulator cascade");
  }

  override down(): void {
    for (const sql of simulatorSchema) this.addSql(sql);
  }
}

const simulatorSchema = [
  "create schema simulator",
  "grant usage on schema simulator to shipping",
  `create table simulator.booking (
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
    report_attempts int4 not null default 0,
    unreported boolean not null default false,
    forgotten boolean not null default false,
    turn_back text not null default '',
    turn_calls int4 not null default 0,
    turn_stage int4 not null default 0,
    turn_time timestamptz
  )`,
  "comment on column simulator.booking.turn_back is 'what it does when it is asked to turn the parcel back'",
  "create index booking_next_idx on simulator.booking (next_time) where next_time is not null",
  `create table simulator.packing (
    shipment_id uuid primary key,
    begin_time timestamptz not null,
    ready_time timestamptz not null,
    failure text not null default ''
  )`,
  `create table simulator.label (
    key text constraint label_pkey primary key,
    calls int4 not null default 1,
    tracking_number text not null
  )`,
  "grant select, insert, update on all tables in schema simulator to shipping",
];
