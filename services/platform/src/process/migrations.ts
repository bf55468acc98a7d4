import { databaseUrl, loadConfig } from "#platform/config.ts";
import type { MigrationsList, Readable } from "#platform/database/migrate.ts";
import { secret } from "#platform/secret.ts";
import { StartError } from "./startup.ts";

const shape = { DATABASE_MIGRATION_URL: secret(databaseUrl) };

/** Runs `migrate up`, `migrate down` (the last one) or `migrate down <name>` (everything down to it). */
export async function runMigrations(
  { migrations, readable }: { readonly migrations: MigrationsList; readonly readable?: Readable },
  [direction, to]: string[],
): Promise<void> {
  if (direction !== "up" && direction !== "down") throw new StartError("say migrate up, or migrate down [name]");
  const url = loadConfig(shape).DATABASE_MIGRATION_URL.text;
  const { migrateDown, migrateUp } = await import("#platform/database/migrate.ts");
  const names = await (direction === "up"
    ? migrateUp({ url, migrations, readable })
    : migrateDown({ url, migrations }, to));
  process.stdout.write(
    names.length === 0 ? "nothing to migrate\n" : names.map((name) => `${direction} ${name}\n`).join(""),
  );
}
