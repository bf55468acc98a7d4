import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Backlog } from "./metrics.ts";

const oldest: SqlText = {
  name: "shipment_backlog",
  text: `select relay, greatest(0, extract(epoch from now() - due_time))::float8 as seconds from (values
      ('shipment.packing',
        (select due_time from shipment where status = 'preparing' and due_time <= now() order by due_time limit 1)),
      ('shipment.booking',
        (select due_time from shipment where status = 'booking' and due_time <= now() order by due_time limit 1)),
      ('shipment.report',
        (select report_due_time from shipment where report_due_time <= now() order by report_due_time limit 1))
    ) as backlog (relay, due_time)`,
};

/** Looks how far the relays are behind. */
export class BacklogRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** How long the oldest that is due has waited for each relay; 0 when nothing is due. */
  async look(): Promise<Backlog> {
    const rows = await this.#database.query<{ relay: string; seconds: number | null }>(oldest);
    return new Map(rows.map(({ relay, seconds }) => [relay, seconds ?? 0]));
  }
}
