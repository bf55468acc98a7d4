import { IndexMigration } from "#platform/database/index-migration.ts";

/** What of a payment was refunded without a second person is found without looking at what else was done with it. */
export class RefundsAloneIndex extends IndexMigration {
  protected override readonly indexes = {
    payment_operation_alone_idx: "payment_operation (payment_id) where alone",
  };
}
