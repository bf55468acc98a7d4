import { IndexMigration } from "#platform/database/index-migration.ts";

/** By when they were read, the latest events of the gateway are counted. */
export class GatewayEventIndex extends IndexMigration {
  protected override readonly indexes = { gateway_event_time_idx: "gateway_event (create_time)" };
}
