import { IndexMigration } from "#platform/database/index-migration.ts";

/** What is to be sealed yet is found without looking at what is. */
export class PlainIndex extends IndexMigration {
  protected override readonly indexes = {
    customer_plain_idx: "customer (customer_id) where given_name is not null",
    customer_order_plain_idx:
      "customer_order (order_id) where given_name is not null or jsonb_typeof(shipping_address) = 'object'",
  };
}
