import { IndexMigration } from "#platform/database/index-migration.ts";

/** By what came back, what is sent for it is found. */
export class ExchangeIndex extends IndexMigration {
  protected override readonly indexes = {
    order_return_exchange_idx: "order_return (exchange_order_id) where exchange_order_id is not null",
  };
}
