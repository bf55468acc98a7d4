import type { MigrationsList } from "#platform/database/migrate.ts";
import { ParcelsMigration } from "./0001-parcels.ts";
import { DoubtMigration } from "./0002-doubt.ts";

/** The schema of the connector to EasyPost, oldest change first. */
export const migrations: MigrationsList = [
  { name: "0001-parcels", class: ParcelsMigration },
  { name: "0002-doubt", class: DoubtMigration },
];
