import { IndexMigration } from "#platform/database/index-migration.ts";

const due = "coalesce(respond_by_time, 'infinity'), payment_id, dispute_id";

/** Disputes are listed by when they have to be answered. */
export class DisputeIndex extends IndexMigration {
  protected override readonly indexes = {
    payment_dispute_due_idx: `payment_dispute (${due})`,
    payment_dispute_state_idx: `payment_dispute (state, ${due})`,
  };
}
