import type { MigrationsList } from "#platform/database/migrate.ts";
import { GatewayMigration } from "./0001-gateway.ts";

/** The schema of the simulators, oldest change first. */
export const migrations: MigrationsList = [{ name: "0001-gateway", class: GatewayMigration }];
