import { IndexMigration } from "#platform/database/index-migration.ts";

/** Returns that wait for a label, or for somebody because there is none, are found without looking at others. */
export class LabelIndex extends IndexMigration {
  protected override readonly indexes = {
    order_return_label_idx: "order_return (label_state, return_id) where status = 'approved' and label_state <> ''",
  };
}
