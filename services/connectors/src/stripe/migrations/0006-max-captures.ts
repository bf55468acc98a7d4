import { Migration } from "@mikro-orm/migrations";

/** An authorization keeps how often it can be captured, whatever the account can later. Of those before it is not known. */
export class MaxCapturesMigration extends Migration {
  override up(): void {
    this.addSql("alter table gateway_authorization add column max_captures int");
    this.addSql(
      "comment on column gateway_authorization.max_captures is 'how often it can be captured, as the account could when it was asked for; null of those before: as it can now'",
    );
  }

  override down(): void {
    this.addSql("alter table gateway_authorization drop column max_captures");
  }
}
