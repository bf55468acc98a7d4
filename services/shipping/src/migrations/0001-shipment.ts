import { Migration } from "@mikro-orm/migrations";
import { idempotencyTable } from "#platform/database/idempotency.ts";

/** Shipments and what their carriers reported. */
export class CreateShipment extends Migration {
  override up(): void {
    this.addSql(`create table shipment (
      shipment_id uuid primary key,
      order_id uuid not null,
      location_id text not null,
      status text not null constraint shipment_status_check check (status in
        ('preparing', 'ready', 'booking', 'shipped', 'delivered', 'failed', 'lost', 'cancelled')),
      lines jsonb not null,
      address jsonb,
      saga_id text not null,
      carrier text not null default '',
      tracking_number text,
      failed_by text constraint shipment_failed_by_check check (failed_by in ('warehouse', 'carrier')),
      failure_code text not null default '',
      failure_reason text not null default '',
      cancel_requested boolean not null default false,
      attempts int4 not null default 0,
      due_time timestamptz,
      report_due_time timestamptz,
      report_attempts int4 not null default 0,
      report_time timestamptz,
      create_time timestamptz not null default now(),
      update_time timestamptz not null default now(),
      constraint shipment_order_location_key unique (order_id, location_id),
      constraint shipment_tracking_number_key unique (tracking_number),
      constraint shipment_tombstone_check check (address is not null or status = 'cancelled'),
      constraint shipment_tracking_check check (
        (tracking_number is not null) = (status in ('shipped', 'delivered', 'lost')))
    )`);
    this.addSql("comment on column shipment.address is 'personal data; null: a cancellation that came before'");
    this.addSql("comment on column shipment.due_time is 'when to ask the warehouse or the carrier again'");
    this.addSql("comment on column shipment.report_due_time is 'when to tell the saga again; null: nothing to tell'");
    this.addSql("create index shipment_status_idx on shipment (status, shipment_id) where address is not null");
    this.addSql("create index shipment_due_idx on shipment (status, due_time) where due_time is not null");
    this.addSql("create index shipment_report_idx on shipment (report_due_time) where report_due_time is not null");
    this.addSql(`grant select, insert, update (status, carrier, tracking_number, failed_by, failure_code, failure_reason,
      cancel_requested, attempts, due_time, report_due_time, report_attempts, report_time, update_time)
      on shipment to shipping`);
    this.addSql(`create table tracking_event (
      shipment_id uuid not null references shipment,
      event_id text not null,
      kind text not null constraint tracking_event_kind_check check (kind in
        ('picked_up', 'in_transit', 'out_for_delivery', 'delivered', 'lost')),
      event_time timestamptz not null,
      place text not null,
      create_time timestamptz not null default now(),
      constraint tracking_event_pkey primary key (shipment_id, event_id)
    )`);
    this.addSql("grant select, insert on tracking_event to shipping");
    for (const sql of idempotencyTable("shipping")) this.addSql(sql);
  }

  override down(): void {
    this.addSql("drop table idempotency_key");
    this.addSql("drop table tracking_event");
    this.addSql("drop table shipment");
  }
}
