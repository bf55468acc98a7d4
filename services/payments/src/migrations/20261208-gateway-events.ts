import { Migration } from "@mikro-orm/migrations";

const kinds = (...more: readonly string[]) =>
  ["authorization", "authorization_end", "capture", "refund", "credit", ...more].map((kind) => `'${kind}'`).join(", ");

/** What happened at the gateway by itself, and where it was read to. The check is made anew without looking at the rows that are there: all keep it. */
export class GatewayEventsMigration extends Migration {
  override up(): void {
    this.addSql(`create table gateway_event (
      event_id text constraint gateway_event_pkey primary key,
      kind text not null check (kind in ('refund_failed', 'hold_ended', 'disputed')),
      payment_id uuid not null,
      create_time timestamptz(3) not null default now()
    )`);
    this.addSql(
      "comment on table gateway_event is 'what happened at the card gateway without being asked for, each once'",
    );
    this.addSql(`create table gateway_event_position (
      only_one boolean constraint gateway_event_position_pkey primary key default true check (only_one),
      position text not null
    )`);
    this.addSql("comment on table gateway_event_position is 'where the events of the gateway were read to'");
    this.addSql("insert into gateway_event_position (position) values ('')");
    this.addSql("alter table ledger_entry drop constraint ledger_entry_kind_check");
    this.addSql(`alter table ledger_entry add constraint ledger_entry_kind_check
      check (kind in (${kinds("refund_failure")})) not valid`);
    this.addSql("grant select, insert on gateway_event to payments");
    this.addSql("grant select, update (position) on gateway_event_position to payments");
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from ledger_entry where kind = 'refund_failure') then
        raise exception 'refunds have failed after they were approved: the version before would take them for paid back';
      end if;
    end $$`);
    this.addSql("alter table ledger_entry drop constraint ledger_entry_kind_check");
    this.addSql(
      `alter table ledger_entry add constraint ledger_entry_kind_check check (kind in (${kinds()})) not valid`,
    );
    this.addSql("drop table gateway_event, gateway_event_position");
  }
}
