import type { MigrationsList } from "#platform/database/migrate.ts";
import { ParcelsMigration } from "./0001-parcels.ts";

/** The schema of the connector to EasyPost, oldest change first. */
export const migrations: MigrationsList = [{ name: "0001-parcels", class: ParcelsMigration }];
