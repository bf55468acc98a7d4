import { Migration } from "@mikro-orm/migrations";

/** Orders that wait for stock. An order of the version before is refused when there is too little, as ever. */
export class BackOrders extends Migration {
  override up(): void {
    this.addSql(`alter table customer_order
      add column shortage_policy text not null default 'reject',
      add column back_order_time timestamptz(3),
      add column stock_time timestamptz(3)`);
    this.addSql(
      "comment on column customer_order.shortage_policy is 'what becomes of it when there is too little: reject, back_order'",
    );
    this.addSql("comment on column customer_order.back_order_time is 'since when it waits, or had to wait, for stock'");
    this.addSql(
      "comment on column customer_order.stock_time is 'when there was stock for it; null: it waits, if it ever had to'",
    );
  }

  override down(): void {
    this.addSql(
      "alter table customer_order drop column shortage_policy, drop column back_order_time, drop column stock_time",
    );
  }
}
