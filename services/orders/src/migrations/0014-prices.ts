import { Migration } from "@mikro-orm/migrations";

/** Shipping, discounts and taxes of orders. What a process of the version before writes has none. */
export class Prices extends Migration {
  override up(): void {
    this.addSql("alter table customer_order add column adjustments jsonb, add column line_amounts jsonb");
    this.addSql(
      "comment on column customer_order.adjustments is 'shipping, discounts, taxes: [line or -1, kind, amount, included], and their names; null: none'",
    );
    this.addSql(
      "comment on column customer_order.line_amounts is 'what each line costs with its part of the adjustments; null: quantity times unit price'",
    );
  }

  /** The total of an order is kept, and what of it is a parcel's is in the parcel: only what it is made of is lost. */
  override down(): void {
    this.addSql("alter table customer_order drop column line_amounts, drop column adjustments");
  }
}
