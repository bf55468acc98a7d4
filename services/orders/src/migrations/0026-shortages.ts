import { Migration } from "@mikro-orm/migrations";

/** What was missing of orders, and was taken out of them before they were charged. A version before this one never takes anything out. */
export class Shortages extends Migration {
  override up(): void {
    this.addSql("alter table customer_order add column shortage jsonb, add column rest_of uuid");
    this.addSql(
      "comment on column customer_order.shortage is 'when it was found to be short, what it would have cost, and its lines as asked for: SKU, asked, there; null: it was not'",
    );
    this.addSql(
      "comment on column customer_order.rest_of is 'the order of which this one is what was missing; null: it is none'",
    );
  }

  /** The order is what it is; only what it would have been is lost. */
  override down(): void {
    this.addSql("alter table customer_order drop column shortage, drop column rest_of");
  }
}
