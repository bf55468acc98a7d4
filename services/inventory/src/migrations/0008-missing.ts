import { Migration } from "@mikro-orm/migrations";

/** What orders have asked for and do not get, because they take what is there. An order of the version before gets all of it, or nothing. */
export class Missing extends Migration {
  override up(): void {
    this.addSql("alter table reservation add column missing jsonb");
    this.addSql(
      "comment on column reservation.missing is 'SKUs and quantities that the order does not get of what it asked for, decided once; null: none'",
    );
  }

  override down(): void {
    this.addSql("alter table reservation drop column missing");
  }
}
