import { Migration } from "@mikro-orm/migrations";

/** How far the look at customers who have not ordered for long has come. */
export class RetentionPlace extends Migration {
  override up(): void {
    this.addSql(`create table retention (
      subject text collate "C" not null,
      after_id uuid not null default '00000000-0000-0000-0000-000000000000',
      forgotten bigint not null default 0,
      pass_time timestamptz,
      constraint retention_pkey primary key (subject)
    )`);
    this.addSql("comment on table retention is 'how far it is looked for who is to be forgotten by a schedule'");
    this.addSql("comment on column retention.after_id is 'the last one that was looked at; the lowest: a pass begins'");
    this.addSql("comment on column retention.forgotten is 'how many were forgotten, of all passes'");
    this.addSql("comment on column retention.pass_time is 'when the last pass ended'");
    this.addSql("insert into retention (subject) values ('customers')");
    this.addSql("grant select, update (after_id, forgotten, pass_time) on retention to orders");
  }

  override down(): void {
    this.addSql("drop table retention");
  }
}
