import type { MigrationsList } from "#platform/database/migrate.ts";
import { Stock } from "./0001-inventory.ts";

/** The inventory database's migrations, oldest first. */
export const migrations: MigrationsList = [{ name: "0001-inventory", class: Stock }];
