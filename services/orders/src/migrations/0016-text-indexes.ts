import { IndexMigration } from "#platform/database/index-migration.ts";

/** Why orders were cancelled, where that is to be moved or sealed yet: none, after a while. And which orders may be forgotten one day. */
export class TextIndexes extends IndexMigration {
  protected override readonly indexes = {
    customer_order_reason_idx: `customer_order (order_id) where cancel_reason is null
      and failure_reason = 'CANCELLED_BY_CUSTOMER' and failure_message <> 'The order was cancelled: on request'
      or jsonb_typeof(cancel_reason) = 'object'`,
    customer_order_kept_idx: `customer_order (order_id)
      where status in ('delivered', 'rejected', 'cancelled', 'failed')
        and (contact is not null or given_name is not null or shipping_address <> '"ffffffffffffffffffffffffffffffff"')`,
  };
}
