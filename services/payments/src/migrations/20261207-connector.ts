import { Migration } from "@mikro-orm/migrations";

/**
 * The card gateway is behind a connector, and so is the simulated one: what that remembered goes, and whatever it still held can be neither captured nor
 * voided. The way back brings it back empty.
 */
export class ConnectorMigration extends Migration {
  override up(): void {
    this.addSql("alter table payment add column hold_expire_time timestamptz(3)");
    this.addSql(
      "comment on column payment.hold_expire_time is 'when the gateway gives free what is still held; null: it has not said so'",
    );
    this.addSql("grant update (hold_expire_time) on payment to payments");
    this.addSql("drop schema simulator cascade");
  }

  override down(): void {
    this.addSql("alter table payment drop column hold_expire_time");
    for (const sql of simulatorSchema) this.addSql(sql);
  }
}

const simulatorSchema = [
  "create schema simulator",
  `create table simulator.gateway_record (
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
  ) with (fillfactor = 85)`,
  "grant usage on schema simulator to payments",
  "grant select, insert, update (captured, voided, refunded) on simulator.gateway_record to payments",
];
