import { IndexMigration } from "#platform/database/index-migration.ts";

/** Who waits for stock is found without looking at who does not. */
export class BackOrderIndex extends IndexMigration {
  protected override readonly indexes = {
    customer_order_back_order_idx:
      "customer_order (back_order_time, order_id) where back_order_time is not null and stock_time is null and status = 'pending'",
  };
}
