import { Migration } from "@mikro-orm/migrations";

/** What the simulated gateway remembers: one row per key. It stands for the outside world, hence a schema of its own. */
export class SimulatorMigration extends Migration {
  override up(): void {
    this.addSql("create schema simulator");
    this.addSql(`create table simulator.gateway_record (
      key text constraint gateway_record_pkey primary key,
      kind text not null check (kind in ('authorize', 'capture', 'void', 'refund')),
      authorization_key text not null,
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
    this.addSql("grant usage on schema simulator to payments");
    this.addSql("grant select, insert, update (captured, voided, refunded) on simulator.gateway_record to payments");
  }

  override down(): void {
    this.addSql("drop schema simulator cascade");
  }
}
