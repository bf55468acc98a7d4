import { IndexMigration } from "#platform/database/index-migration.ts";

/** What was last told of a dispute is looked up before it is told of again. */
export class DisputeIndex extends IndexMigration {
  protected override readonly indexes = {
    gateway_event_dispute: "gateway_event (dispute_id, position) where dispute_id <> ''",
  };
}
