import type { MigrationsList } from "#platform/database/migrate.ts";
import { Identity } from "./0001-identity.ts";

/** The identity database's migrations, oldest first. */
export const migrations: MigrationsList = [{ name: "0001-identity", class: Identity }];
