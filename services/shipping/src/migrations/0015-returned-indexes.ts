import { IndexMigration } from "#platform/database/index-migration.ts";

/** Parcels that came back, which the indexes of before do not have: those of which orders has not heard, and whose addresses are to be forgotten. */
export class IndexReturned extends IndexMigration {
  protected override readonly indexes = {
    // The condition is that of a statement in order-report.repository.ts.
    shipment_returned_news_idx: "shipment (news_due_time) where status = 'returned' and told_news <> 'returned'",
    shipment_returned_forget_idx: `shipment (update_time) where status = 'returned'
      and address <> '"ffffffffffffffffffffffffffffffff"'`,
  };
}
