import { Migration } from "@mikro-orm/migrations";

/** Disputes as they stand, so that people see until when each has to be answered. Those that were told of before have a row when they are told of again. */
export class DisputesMigration extends Migration {
  override up(): void {
    this.addSql(`create table payment_dispute (
      payment_id uuid not null,
      dispute_id text not null,
      state text not null check (state in ('open', 'won', 'lost')),
      reason text not null,
      currency text not null,
      amount bigint not null check (amount > 0),
      respond_by_time timestamptz(3),
      create_time timestamptz(3) not null default now(),
      update_time timestamptz(3) not null default now(),
      constraint payment_dispute_pkey primary key (payment_id, dispute_id)
    )`);
    this.addSql(
      "comment on table payment_dispute is 'what banks want back, as each dispute stands at the card gateway'",
    );
    this.addSql(
      "comment on column payment_dispute.respond_by_time is 'until when it has to be answered; null where it cannot be, or has been'",
    );
    this.addSql("create index payment_dispute_open_idx on payment_dispute (respond_by_time) where state = 'open'");
    this.addSql(`grant select, insert, update (state, reason, currency, amount, respond_by_time, update_time)
      on payment_dispute to payments`);
  }

  override down(): void {
    this.addSql("drop table payment_dispute");
  }
}
