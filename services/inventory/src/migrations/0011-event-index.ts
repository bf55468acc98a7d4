import { IndexMigration } from "#platform/database/index-migration.ts";
import { eventSequenceIndexes } from "#platform/events/event-sequence.ts";

/** Finds that of which subscribers were not told yet. */
export class EventIndex extends IndexMigration {
  protected override readonly indexes = eventSequenceIndexes;
}
