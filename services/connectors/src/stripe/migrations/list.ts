import type { MigrationsList } from "#platform/database/migrate.ts";
import { OperationsMigration } from "./0001-operations.ts";

/** The schema of the connector to Stripe, oldest change first. */
export const migrations: MigrationsList = [{ name: "0001-operations", class: OperationsMigration }];
