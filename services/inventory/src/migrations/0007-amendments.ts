import { Migration } from "@mikro-orm/migrations";

/** The last amendment of a reservation: what it has taken and will give back, or that it is over. */
export class Amendments extends Migration {
  override up(): void {
    this.addSql("alter table reservation add column amendment jsonb");
  }

  override down(): void {
    this.addSql("alter table reservation drop column amendment");
  }
}
