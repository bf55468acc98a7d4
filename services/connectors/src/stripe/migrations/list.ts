import type { MigrationsList } from "#platform/database/migrate.ts";
import { OperationsMigration } from "./0001-operations.ts";
import { EventsMigration } from "./0002-events.ts";
import { DisputeIndex } from "./0004-dispute-index.ts";

/** The schema of the connector to Stripe, oldest change first. */
export const migrations: MigrationsList = [
  { name: "0001-operations", class: OperationsMigration },
  { name: "0002-events", class: EventsMigration },
  { name: "0004-dispute-index", class: DisputeIndex },
];
