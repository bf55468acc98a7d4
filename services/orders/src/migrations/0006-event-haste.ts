import { IndexMigration } from "#platform/database/index-migration.ts";

/** What somebody waits for is found without looking at what nobody waits for. */
export class EventHaste extends IndexMigration {
  protected override readonly indexes = {
    order_event_prompt_idx: "order_event (due_time) where kind in ('placed', 'cancellation', 'decision')",
  };
}
