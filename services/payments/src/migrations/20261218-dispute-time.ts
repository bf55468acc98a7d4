import { Migration } from "@mikro-orm/migrations";

/** When a dispute stood as it is kept, as the gateway says: what is told late does not overtake it. */
export class DisputeTime extends Migration {
  override up(): void {
    this.addSql("alter table payment_dispute add column as_of_time timestamptz(3)");
    this.addSql(
      "comment on column payment_dispute.as_of_time is 'when it stood so, by the clock of the gateway; null where it did not say'",
    );
    this.addSql("grant update (as_of_time) on payment_dispute to payments");
  }

  override down(): void {
    this.addSql("alter table payment_dispute drop column as_of_time");
  }
}
