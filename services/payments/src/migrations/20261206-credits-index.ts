import { IndexMigration } from "#platform/database/index-migration.ts";

/** The credits of a payment are found by it. */
export class CreditsIndex extends IndexMigration {
  protected override readonly indexes = {
    payment_source_idx: "payment (source_id) where source_id is not null",
  };
}
