import { Migration } from "@mikro-orm/migrations";

/** What was asked of Stripe, one row per key, and what became of each authorization. */
export class OperationsMigration extends Migration {
  override up(): void {
    this.addSql(`create table gateway_operation (
      key uuid constraint gateway_operation_pkey primary key,
      kind text not null check (kind in ('authorize', 'capture', 'void', 'refund')),
      authorization_key uuid not null,
      order_id text not null,
      card_token text not null,
      reference text not null,
      currency char(3) not null,
      amount bigint not null check (amount > 0),
      state text not null check (state in ('begun', 'sent', 'approved', 'declined', 'requires_action')),
      final boolean not null default false,
      code text not null default '',
      stripe_id text not null default '',
      base bigint not null default 0,
      attempts int not null default 0,
      hold_expire_time timestamptz,
      touch_time timestamptz not null default now(),
      create_time timestamptz not null default now()
    ) with (fillfactor = 80)`);
    this.addSql("create index gateway_operation_authorization on gateway_operation (authorization_key)");
    this.addSql(`create table gateway_authorization (
      key uuid constraint gateway_authorization_pkey primary key,
      intent_id text not null default '',
      currency char(3) not null,
      amount bigint not null check (amount > 0),
      captures int not null default 0,
      captured bigint not null default 0,
      voided bigint not null default 0,
      refunded bigint not null default 0,
      received bigint not null default 0,
      lease_id uuid,
      lease_time timestamptz not null default now(),
      check (captured + voided <= amount),
      check (refunded <= captured)
    ) with (fillfactor = 80)`);
    this.addSql(
      "create unique index gateway_authorization_intent on gateway_authorization (intent_id) where intent_id <> ''",
    );
    this.addSql("comment on table gateway_operation is 'what Stripe was asked to do, and what came of it'");
    this.addSql(
      "comment on table gateway_authorization is 'what became of each authorization at Stripe, and who works at it'",
    );
    this.addSql(`grant select, insert,
      update (state, final, code, stripe_id, base, attempts, hold_expire_time, touch_time) on gateway_operation to stripe`);
    this.addSql(`grant select, insert, update (intent_id, captures, captured, voided, refunded, received, lease_id, lease_time)
      on gateway_authorization to stripe`);
  }

  override down(): void {
    this.addSql("drop table gateway_authorization");
    this.addSql("drop table gateway_operation");
  }
}
