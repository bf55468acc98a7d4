import { Migration } from "@mikro-orm/migrations";

/**
 * Where sealed addresses lie, by what people are found then, and which people are erased. Nothing is sealed here, and what a process of the version before
 * writes is plain: it is sealed by and by. Of the tokens that were sent by mail none is: they are over within the hour.
 *
 * The way back wants everything plain, which only a process with the keys can do: `PERSONAL_DATA=plain`.
 */
export class Personal extends Migration {
  override up(): void {
    this.addSql(`alter table person
      add column sealed_email text,
      add column erase_time timestamptz(3),
      alter column email drop not null`);
    this.addSql("comment on column person.sealed_email is 'sealed: the address, which is null in email then'");
    this.addSql("comment on column person.erase_time is 'when it was forgotten who this is'");
    this.addSql(`create table person_email (
      email_hash bytea not null,
      person_id uuid not null,
      constraint person_email_pkey primary key (email_hash),
      constraint person_email_person_key unique (person_id)
    )`);
    this.addSql("comment on table person_email is 'who is found by an address that is sealed'");
    this.addSql("comment on column person_email.email_hash is 'by the key of nobody in personal_key'");
    this.addSql(`alter table mail_token
      add column sealed_email text,
      add column email_hash bytea,
      alter column email drop not null`);
    this.addSql("comment on column mail_token.sealed_email is 'sealed: the address, which is null in email then'");
    this.addSql("comment on column mail_token.email_hash is 'as that of person_email'");
    this.addSql("grant select, insert, update, delete on person_email to identity");
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from person where sealed_email is not null) then
        raise exception 'personal data is sealed: run the service with PERSONAL_DATA=plain until none is, then migrate down';
      end if;
    end $$`);
    this.addSql("delete from person where erase_time is not null");
    this.addSql("delete from mail_token where email is null");
    this.addSql("drop table person_email");
    this.addSql(`alter table mail_token
      drop column sealed_email, drop column email_hash, alter column email set not null`);
    this.addSql("alter table person drop column sealed_email, drop column erase_time, alter column email set not null");
  }
}
