import { Migration } from "@mikro-orm/migrations";
import { auditTable, dropAuditTable } from "#platform/audit/audit-table.ts";
import { idempotencyTable } from "#platform/database/idempotency.ts";

/**
 * People, their sessions, keys of programs, and the keys that sign. What somebody shows is kept as its SHA-256 alone: these are random
 * texts of 256 bits, which nobody guesses from it. A password is no such text, and is kept as argon2id has it.
 */
export class Identity extends Migration {
  override up(): void {
    this.addSql(`create table person (
      person_id uuid primary key,
      email text not null constraint person_email_key unique,
      password text not null,
      roles text[] not null,
      create_time timestamptz(3) not null default now(),
      update_time timestamptz(3) not null default now()
    )`);
    this.addSql("comment on column person.email is 'normalized: see person.ts'");
    this.addSql(`create table mail_token (
      hash bytea primary key,
      email text not null,
      create_time timestamptz not null default now(),
      expire_time timestamptz not null,
      use_time timestamptz
    )`);
    this.addSql("create index mail_token_email_idx on mail_token (email, create_time)");
    this.addSql(`create table login_attempt (
      email_hash bytea primary key,
      attempts int not null,
      next_time timestamptz not null,
      update_time timestamptz not null
    )`);
    this.addSql("comment on table login_attempt is 'passwords that were tried in a row for an address, known or not'");
    this.addSql(`create table session (
      session_id uuid primary key,
      person_id uuid not null references person,
      create_time timestamptz not null default now(),
      expire_time timestamptz not null,
      end_time timestamptz
    )`);
    this.addSql("create index session_person_idx on session (person_id) where end_time is null");
    this.addSql("create index session_expire_time_idx on session (expire_time)");
    this.addSql(`create table refresh_token (
      hash bytea primary key,
      session_id uuid not null references session on delete cascade,
      create_time timestamptz not null default now(),
      expire_time timestamptz not null,
      use_time timestamptz
    )`);
    this.addSql("create index refresh_token_session_idx on refresh_token (session_id)");
    this.addSql(`create table api_key (
      api_key_id uuid primary key,
      hash bytea not null constraint api_key_hash_key unique,
      name text not null,
      roles text[] not null,
      create_time timestamptz(3) not null default now(),
      expire_time timestamptz(3) not null,
      last_use_time timestamptz(3),
      revoke_time timestamptz(3)
    )`);
    this.addSql("create unique index api_key_name_key on api_key (name) where revoke_time is null");
    this.addSql(`create table signing_key (
      key_id text primary key,
      private_key bytea not null,
      public_key jsonb not null,
      create_time timestamptz not null default now(),
      sign_time timestamptz not null
    )`);
    this.addSql("comment on column signing_key.private_key is 'sealed: see signing-key.repository.ts'");
    this.addSql("grant select, insert, update on person to identity");
    this.addSql(
      "grant select, insert, update, delete on mail_token, login_attempt, session, refresh_token to identity",
    );
    this.addSql("grant select, insert, update on api_key to identity");
    this.addSql("grant select, insert, delete on signing_key to identity");
    for (const sql of idempotencyTable("identity")) this.addSql(sql);
    for (const sql of auditTable("identity")) this.addSql(sql);
  }

  override down(): void {
    for (const sql of dropAuditTable) this.addSql(sql);
    this.addSql("drop table idempotency_key");
    for (const table of [
      "signing_key",
      "api_key",
      "refresh_token",
      "session",
      "login_attempt",
      "mail_token",
      "person",
    ]) {
      this.addSql(`drop table ${table}`);
    }
  }
}
