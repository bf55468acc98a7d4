import { Migration } from "@mikro-orm/migrations";

/** An authorization keeps how often it can be captured, whatever the account can later. Of those before it is not known: Stripe refuses what it cannot. */
export class MaxCapturesMigration extends Migration {
  override up(): void {
    this.addSql("alter table gateway_authorization add column max_captures int not null default 50");
    this.addSql(
      "comment on column gateway_authorization.max_captures is 'how often it can be captured, as the account could when it was asked for'",
    );
  }

  override down(): void {
    this.addSql("alter table gateway_authorization drop column max_captures");
  }
}
