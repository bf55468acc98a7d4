import { Migration } from "@mikro-orm/migrations";
import { dropEventSequence, eventSequence } from "#platform/events/event-sequence.ts";

/** Gives what the audit log says an order, in which subscribers are told of it. */
export class Events extends Migration {
  override up(): void {
    for (const sql of eventSequence("payments")) this.addSql(sql);
  }

  override down(): void {
    for (const sql of dropEventSequence) this.addSql(sql);
  }
}
