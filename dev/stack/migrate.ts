// Brings the databases of a stack up to date, each by its service's migrations, as `migrate up` of that service would. It is one process
// for all: each of five would load at every start what migrates, mostly for nothing.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type MigrationsList, migrateUp, type Readable } from "#platform/database/migrate.ts";
import { root } from "../../deploy/command/checkout.ts";
import { migrationUrls } from "../config.ts";
import { isConnector, sourcesOf } from "./layout.ts";

async function partOf<T>(service: string, file: string): Promise<T> {
  return (await import(pathToFileURL(join(root, sourcesOf(service), "migrations", file)).href)) as T;
}

async function migrate(service: string, url: string): Promise<void> {
  const { migrations } = await partOf<{ migrations: MigrationsList }>(service, "list.ts");
  // Nobody but a connector reads its database.
  const { readable } = isConnector(service)
    ? { readable: undefined }
    : await partOf<{ readable: Readable }>(service, "readable.ts");
  const names = await migrateUp({ url, migrations, readable });
  for (const name of names) console.log(`${service}: up ${name}`);
}

/** One that fails stops none of the others: each database is whole by itself. */
async function told([service, url]: readonly [service: string, url: string]): Promise<void> {
  try {
    await migrate(service, url);
  } catch (error) {
    console.error(`${service}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

await Promise.all(Object.entries(migrationUrls()).map(told));
