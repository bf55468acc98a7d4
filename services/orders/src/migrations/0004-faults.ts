import { Migration } from "@mikro-orm/migrations";

/**
 * How often in a row an order was carried in vain. It stands in no index; a process of the version before leaves it as it is,
 * and then an order goes alone that need not.
 */
export class Faults extends Migration {
  override up(): void {
    this.addSql("alter table customer_order add column faults int not null default 0");
    this.addSql(
      "comment on column customer_order.faults is 'episodes in a row that failed with it and settled nothing'",
    );
  }

  override down(): void {
    this.addSql("alter table customer_order drop column faults");
  }
}
