import { Migration } from "@mikro-orm/migrations";

/** What the simulated gateway remembers: one row per key. */
export class GatewayMigration extends Migration {
  override up(): void {
    this.addSql(`create table gateway_record (
      key uuid constraint gateway_record_pkey primary key,
      kind text not null check (kind in ('authorize', 'capture', 'void', 'refund')),
      authorization_key uuid not null,
      card_token text not null,
      currency char(3) not null,
      amount bigint not null check (amount > 0),
      decline_code text not null,
      decide_time timestamptz not null,
      captured bigint not null default 0,
      voided bigint not null default 0,
      refunded bigint not null default 0,
      create_time timestamptz not null default now(),
      check (captured + voided <= amount),
      check (refunded <= captured)
    ) with (fillfactor = 85)`);
    this.addSql("comment on table gateway_record is 'what the simulated card gateway did, and refused'");
    this.addSql("grant select, insert, update (captured, voided, refunded) on gateway_record to simulators");
  }

  override down(): void {
    this.addSql("drop table gateway_record");
  }
}
