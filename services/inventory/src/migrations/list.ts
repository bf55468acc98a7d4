import type { MigrationsList } from "#platform/database/migrate.ts";
import { Stock } from "./0001-stock.ts";

/** The inventory database's migrations, oldest first. */
export const migrations: MigrationsList = [{ name: "0001-stock", class: Stock }];
