import { IndexMigration } from "#platform/database/index-migration.ts";

/** What a person is to decide is found without looking at what nobody has to. */
export class ReviewIndex extends IndexMigration {
  protected override readonly indexes = {
    customer_order_review_idx:
      "customer_order (review_time, order_id) where review_time is not null and review_decision is null and status = 'pending'",
  };
}
