import type { MigrationsList } from "#platform/database/migrate.ts";
import { Notifications } from "./0001-notifications.ts";

/** The notifications database's migrations, oldest first. */
export const migrations: MigrationsList = [{ name: "0001-notifications", class: Notifications }];
