import { Migration } from "@mikro-orm/migrations";
import { personalKeyTable } from "#platform/personal/personal-key.ts";

/**
 * Second factors of people, their secrets sealed, each by a key of its own, and codes for recovery as SHA-256: they have 120 random bits. A process of the
 * version before knows of neither, and asks nobody for a code.
 */
export class SecondFactor extends Migration {
  override up(): void {
    for (const sql of personalKeyTable("identity", "the person")) this.addSql(sql);
    this.addSql(`create table second_factor (
      person_id uuid primary key references person,
      secret text not null,
      last_step bigint,
      attempts int not null default 0,
      next_time timestamptz not null default now(),
      create_time timestamptz not null default now(),
      confirm_time timestamptz
    )`);
    this.addSql("comment on column second_factor.secret is 'sealed'");
    this.addSql(
      "comment on column second_factor.last_step is 'of the code that was taken last: none up to it is taken again'",
    );
    this.addSql("comment on column second_factor.attempts is 'codes that were tried in a row'");
    this.addSql("comment on column second_factor.confirm_time is 'null: it does not count yet'");
    this.addSql(`create table recovery_code (
      hash bytea primary key,
      person_id uuid not null references second_factor on delete cascade
    )`);
    this.addSql("create index recovery_code_person_idx on recovery_code (person_id)");
    this.addSql("alter table session add column second_factor boolean not null default false");
    this.addSql("comment on column session.second_factor is 'whether it was begun with a code besides the password'");
    this.addSql("grant select, insert, update, delete on second_factor to identity");
    this.addSql("grant select, insert, delete on recovery_code to identity");
  }

  override down(): void {
    this.addSql("alter table session drop column second_factor");
    for (const table of ["recovery_code", "second_factor", "personal_key"]) this.addSql(`drop table ${table}`);
  }
}
