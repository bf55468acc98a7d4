import { Migration } from "@mikro-orm/migrations";

/** What happened at Stripe by itself. Positions are drawn behind a lock, so that a later one is seen later. */
export class EventsMigration extends Migration {
  override up(): void {
    this.addSql(`create table gateway_event (
      position bigint constraint gateway_event_pkey primary key,
      event_id text not null constraint gateway_event_id unique,
      time timestamptz not null,
      authorization_key uuid not null,
      kind text not null check (kind in ('refund_failed', 'hold_ended', 'disputed')),
      key uuid,
      code text not null default '',
      dispute_id text not null default '',
      state text not null default '',
      currency text not null default '',
      amount bigint not null default 0,
      respond_by_time timestamptz
    )`);
    this.addSql("comment on table gateway_event is 'what happened at Stripe by itself, each once, for payments'");
    this.addSql(`create table gateway_event_source (
      only_one boolean constraint gateway_event_source_pkey primary key default true check (only_one),
      last_position bigint not null,
      look_time timestamptz not null
    )`);
    this.addSql(
      "comment on table gateway_event_source is 'the last position of an event, and until when Stripe was asked for all'",
    );
    this.addSql("insert into gateway_event_source (last_position, look_time) values (0, now())");
    this.addSql("grant select, insert on gateway_event to stripe");
    this.addSql("grant select, update (last_position, look_time) on gateway_event_source to stripe");
  }

  override down(): void {
    this.addSql("drop table gateway_event, gateway_event_source");
  }
}
