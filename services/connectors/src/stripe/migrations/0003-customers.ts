import { Migration } from "@mikro-orm/migrations";

/** Which customer of Stripe's each payment method is attached to. */
export class CustomersMigration extends Migration {
  override up(): void {
    this.addSql(`create table gateway_customer (
      card_token text constraint gateway_customer_pkey primary key,
      customer_id text not null,
      create_time timestamptz not null default now()
    )`);
    this.addSql(
      "comment on table gateway_customer is 'which customer of Stripe''s each payment method is attached to, so that it can be used again'",
    );
    this.addSql("grant select, insert on gateway_customer to stripe");
  }

  override down(): void {
    this.addSql("drop table gateway_customer");
  }
}
