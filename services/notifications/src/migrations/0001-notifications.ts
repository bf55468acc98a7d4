import { Migration } from "@mikro-orm/migrations";
import { auditTable, dropAuditTable } from "#platform/audit/audit-table.ts";
import { streamCursorTable } from "#platform/events/event-reader.ts";

/** Events that were heard, what customers are told because of them, and how they want to be told. No address and no text: they are asked for when a mail is sent. */
export class Notifications extends Migration {
  override up(): void {
    this.addSql(`create table inbox_event (
      event_id uuid constraint inbox_event_pkey primary key,
      type text not null,
      order_id uuid,
      customer_id uuid,
      about text not null,
      facts jsonb not null,
      event_time timestamptz(3) not null,
      receive_time timestamptz(3) not null default now(),
      sequence bigint generated always as identity,
      attempts int not null default 0,
      next_time timestamptz not null default now(),
      plan_time timestamptz(3),
      check (num_nonnulls(order_id, customer_id) > 0)
    )`);
    this.addSql("comment on table inbox_event is 'events that were heard, each once'");
    this.addSql("comment on column inbox_event.plan_time is 'when it was decided who is told'");
    this.addSql("comment on column inbox_event.customer_id is 'whom to forget; of events of orders null'");
    this.addSql("create index inbox_event_open_idx on inbox_event (sequence) where plan_time is null");
    this.addSql("create index inbox_event_order_idx on inbox_event (order_id, sequence) where plan_time is null");
    this.addSql("create index inbox_event_receive_time_idx on inbox_event (receive_time)");
    this.addSql(`create table recipient (
      customer_id uuid constraint recipient_pkey primary key,
      language text not null check (language in ('', 'en', 'de')),
      muted text[] not null,
      update_time timestamptz(3) not null default now(),
      erase_time timestamptz(3)
    )`);
    this.addSql("comment on table recipient is 'how customers want to be told, as far as they have said so'");
    this.addSql("comment on column recipient.erase_time is 'from then on the customer is told nothing'");
    this.#notifications();
    for (const sql of streamCursorTable("notifications")) this.addSql(sql);
    for (const sql of auditTable("notifications")) this.addSql(sql);
  }

  #notifications(): void {
    this.addSql(`create table notification (
      notification_id uuid constraint notification_pkey primary key,
      event_id uuid not null,
      channel text not null check (channel in ('mail')),
      kind text not null check (kind in ('order_confirmed', 'order_delayed', 'order_changed', 'order_rejected', 'order_cancelled',
        'parcel_shipped', 'parcel_delivered', 'parcel_lost', 'payment_refunded', 'return_received')),
      order_id uuid not null,
      customer_id uuid not null,
      about text not null,
      facts jsonb not null,
      status text not null default 'pending' check (status in ('pending', 'sent', 'failed', 'skipped')),
      reason text not null default '',
      attempts int not null default 0,
      next_time timestamptz(3) not null default now(),
      give_up_time timestamptz not null,
      create_time timestamptz(3) not null default now(),
      end_time timestamptz(3),
      constraint notification_once_key unique (order_id, kind, about, channel),
      check ((status = 'pending') = (end_time is null))
    ) with (fillfactor = 85)`);
    this.addSql("comment on table notification is 'what customers are told, each once'");
    this.addSql("create index notification_due_idx on notification (next_time) where status = 'pending'");
    this.addSql("create index notification_open_idx on notification (order_id) where status = 'pending'");
    this.addSql("create index notification_failed_idx on notification (notification_id) where status = 'failed'");
    this.addSql("create index notification_customer_idx on notification (customer_id, notification_id)");
    this.addSql("create index notification_end_time_idx on notification (end_time) where end_time is not null");
    this.addSql("grant select, insert, update, delete on inbox_event, notification to notifications");
    this.addSql("grant select, insert, update on recipient to notifications");
  }

  override down(): void {
    for (const sql of dropAuditTable) this.addSql(sql);
    for (const table of ["notification", "recipient", "stream_cursor", "inbox_event"])
      this.addSql(`drop table ${table}`);
  }
}
