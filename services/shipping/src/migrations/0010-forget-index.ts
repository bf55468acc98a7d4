import { IndexMigration } from "#platform/database/index-migration.ts";

/** Addresses that nobody needs any more are found without looking at those that are forgotten. */
export class IndexForgettable extends IndexMigration {
  protected override readonly indexes = {
    shipment_forget_idx: `shipment (update_time) where status in ('delivered', 'failed', 'lost', 'cancelled')
      and address <> '"ffffffffffffffffffffffffffffffff"'`,
  };
}
