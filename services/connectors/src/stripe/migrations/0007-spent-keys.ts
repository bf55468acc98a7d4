import { Migration } from "@mikro-orm/migrations";

/** An idempotency key is used until Stripe has answered under it; before, each attempt had one of its own. */
export class SpentKeysMigration extends Migration {
  override up(): void {
    this.addSql("alter table gateway_operation add column spent_keys int not null default 0");
    this.addSql("update gateway_operation set spent_keys = attempts where state in ('begun', 'sent') and attempts > 0");
    this.addSql(
      "comment on column gateway_operation.spent_keys is 'how many idempotency keys Stripe has answered under without deciding it'",
    );
    this.addSql("grant update (spent_keys) on gateway_operation to stripe");
  }

  override down(): void {
    this.addSql(
      "update gateway_operation set attempts = greatest(attempts, spent_keys) where state in ('begun', 'sent')",
    );
    this.addSql("alter table gateway_operation drop column spent_keys");
  }
}
