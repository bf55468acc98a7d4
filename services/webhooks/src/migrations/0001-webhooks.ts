import { Migration } from "@mikro-orm/migrations";
import { auditTable, dropAuditTable } from "#platform/audit/audit-table.ts";
import { streamCursorTable } from "#platform/events/event-reader.ts";
import { personalKeyTable } from "#platform/personal/personal-key.ts";

/** Who is told of events by HTTP, what each is to be told, and up to where the stream was read. */
export class Webhooks extends Migration {
  override up(): void {
    this.addSql(`create table webhook_endpoint (
      endpoint_id uuid constraint webhook_endpoint_pkey primary key,
      name text not null constraint webhook_endpoint_name_key unique,
      url text not null,
      event_types text[] not null,
      personal boolean not null,
      status text not null default 'unverified' check (status in ('unverified', 'enabled', 'disabled')),
      disable_reason text not null default '' check ((status = 'disabled') = (disable_reason <> '')),
      pause_time timestamptz(3),
      success_time timestamptz(3),
      create_time timestamptz(3) not null default now(),
      update_time timestamptz(3) not null default now()
    ) with (fillfactor = 70)`);
    this.addSql("comment on table webhook_endpoint is 'who is told of events by HTTP'");
    this.addSql(
      "comment on column webhook_endpoint.pause_time is 'nothing is sent before: the endpoint has asked for that'",
    );
    this.addSql("comment on column webhook_endpoint.success_time is 'when it last took something, to the second'");
    this.addSql(`create table webhook_secret (
      secret_id uuid constraint webhook_secret_pkey primary key,
      endpoint_id uuid not null references webhook_endpoint on delete cascade,
      secret text not null,
      create_time timestamptz(3) not null default now(),
      expire_time timestamptz(3)
    )`);
    this.addSql("comment on column webhook_secret.secret is 'sealed: what requests are signed with'");
    this.addSql("create index webhook_secret_endpoint_idx on webhook_secret (endpoint_id)");
    this.#deliveries();
    for (const sql of personalKeyTable("webhooks", "the endpoint whose secret it seals")) this.addSql(sql);
    for (const sql of streamCursorTable("webhooks")) this.addSql(sql);
    for (const sql of auditTable("webhooks")) this.addSql(sql);
    this.addSql(
      "grant select, insert, update, delete on webhook_endpoint, webhook_secret, webhook_delivery to webhooks",
    );
    this.addSql("grant select, insert, delete on webhook_event to webhooks");
  }

  #deliveries(): void {
    this.addSql(`create table webhook_event (
      event_id uuid constraint webhook_event_pkey primary key,
      type text not null,
      subject text not null,
      data text not null,
      event_time timestamptz(3) not null,
      receive_time timestamptz(3) not null default now()
    )`);
    this.addSql("comment on table webhook_event is 'events that somebody is told of'");
    this.addSql("create index webhook_event_receive_time_idx on webhook_event (receive_time)");
    this.addSql("create index webhook_event_subject_idx on webhook_event (subject)");
    this.addSql(`create table webhook_delivery (
      delivery_id uuid constraint webhook_delivery_pkey primary key,
      endpoint_id uuid not null,
      event_id uuid not null,
      subject text not null,
      place bigint not null,
      status text not null default 'pending' check (status in ('pending', 'succeeded', 'failed')),
      attempts int not null default 0,
      attempts_before int not null default 0,
      outcome text not null default '',
      begin_time timestamptz(3) not null default now(),
      next_time timestamptz(3) not null default now(),
      end_time timestamptz(3),
      constraint webhook_delivery_once_key unique (endpoint_id, event_id),
      check ((status = 'pending') = (end_time is null))
    ) with (fillfactor = 85)`);
    this.addSql("comment on table webhook_delivery is 'what each endpoint is to be told, each event once'");
    this.addSql("comment on column webhook_delivery.place is 'the number of the event in the stream'");
    this.addSql("comment on column webhook_delivery.attempts_before is 'those before it was replayed'");
    this.addSql("comment on column webhook_delivery.begin_time is 'when it was made, or replayed'");
    this.addSql(
      "create index webhook_delivery_due_idx on webhook_delivery (endpoint_id, next_time) where status = 'pending'",
    );
    this.addSql(
      "create index webhook_delivery_first_idx on webhook_delivery (endpoint_id, subject, place) where status = 'pending'",
    );
    this.addSql("create index webhook_delivery_endpoint_idx on webhook_delivery (endpoint_id, delivery_id)");
    this.addSql("create index webhook_delivery_event_idx on webhook_delivery (event_id)");
  }

  override down(): void {
    for (const sql of dropAuditTable) this.addSql(sql);
    const tables = ["webhook_delivery", "webhook_event", "stream_cursor", "webhook_secret", "webhook_endpoint"];
    for (const table of ["personal_key", ...tables]) this.addSql(`drop table ${table}`);
  }
}
