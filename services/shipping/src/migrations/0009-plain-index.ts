import { IndexMigration } from "#platform/database/index-migration.ts";

/** What is to be sealed yet is found without looking at what is. */
export class IndexPlain extends IndexMigration {
  protected override readonly indexes = {
    shipment_plain_idx: "shipment (shipment_id) where jsonb_typeof(address) = 'object'",
  };
}
