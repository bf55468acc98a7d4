import type { MigrationsList } from "#platform/database/migrate.ts";
import { OperationsMigration } from "./0001-operations.ts";
import { EventsMigration } from "./0002-events.ts";
import { CustomersMigration } from "./0003-customers.ts";
import { DisputeIndex } from "./0004-dispute-index.ts";
import { OutsideMigration } from "./0005-outside.ts";
import { MaxCapturesMigration } from "./0006-max-captures.ts";
import { SpentKeysMigration } from "./0007-spent-keys.ts";

/** The schema of the connector to Stripe, oldest change first. */
export const migrations: MigrationsList = [
  { name: "0001-operations", class: OperationsMigration },
  { name: "0002-events", class: EventsMigration },
  { name: "0003-customers", class: CustomersMigration },
  { name: "0004-dispute-index", class: DisputeIndex },
  { name: "0005-outside", class: OutsideMigration },
  { name: "0006-max-captures", class: MaxCapturesMigration },
  { name: "0007-spent-keys", class: SpentKeysMigration },
];
