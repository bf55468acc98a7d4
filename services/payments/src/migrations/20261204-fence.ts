import { Migration } from "@mikro-orm/migrations";

/** The last episode of its order that has asked about a payment. No index has it: a row that changes stays in its place. */
export class FenceMigration extends Migration {
  override up(): void {
    this.addSql("alter table payment add column fence int not null default 0");
    this.addSql(
      "comment on column payment.fence is 'the highest number of an episode of the order that has asked about it; 0: none had one'",
    );
    this.addSql("grant update (fence) on payment to payments");
  }

  override down(): void {
    this.addSql("alter table payment drop column fence");
  }
}
