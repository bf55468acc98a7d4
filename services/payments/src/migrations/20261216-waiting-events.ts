import { Migration } from "@mikro-orm/migrations";

/** Refunds whose failure was read before it was known that they were approved: what is read behind one does not wait for it. */
export class WaitingEventsMigration extends Migration {
  override up(): void {
    this.addSql(`create table waiting_gateway_event (
      refund_key uuid constraint waiting_gateway_event_pkey primary key,
      event_id text not null,
      authorization_key uuid not null,
      code text not null,
      create_time timestamptz(3) not null default now()
    )`);
    this.addSql(
      "comment on table waiting_gateway_event is 'refunds that have failed at the card gateway and are not decided here: each has its effect once they are'",
    );
    this.addSql("grant select, insert, delete, update (code) on waiting_gateway_event to payments");
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from waiting_gateway_event) then
        raise exception 'failures of refunds wait for their effect: the version before would never hear of them again';
      end if;
    end $$`);
    this.addSql("drop table waiting_gateway_event");
  }
}
