import type { MigrationsList } from "#platform/database/migrate.ts";
import { Webhooks } from "./0001-webhooks.ts";

/** The webhooks database's migrations, oldest first. */
export const migrations: MigrationsList = [{ name: "0001-webhooks", class: Webhooks }];
