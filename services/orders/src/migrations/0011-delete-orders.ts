import { Migration } from "@mikro-orm/migrations";

/** Orders may be deleted that came to nothing; which ones, the service decides. */
export class DeleteOrders extends Migration {
  override up(): void {
    this.addSql("grant delete on customer_order, order_line to orders");
  }

  override down(): void {
    this.addSql("revoke delete on customer_order, order_line from orders");
  }
}
