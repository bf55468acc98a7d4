import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { EntitySchema } from "@mikro-orm/postgresql";
import pg from "pg";
import { Database, type DatabaseOptions } from "#platform/database/database.ts";
import { type MigrationsList, migrateUp, type Readable } from "#platform/database/migrate.ts";
import { provisionDatabase } from "#platform/database/provision.ts";
import { until } from "./until.ts";

/** A fresh database of one service on a real PostgreSQL, with roles as in production. */
export interface TestDatabase extends AsyncDisposable {
  readonly database: Database;
  /** The runtime role's connection. */
  readonly url: string;
  readonly ownerUrl: string;
  /** The reader's connection; it sees what `readable` says. */
  readonly readerUrl: string;
  /** A superuser's connection to the same database. */
  readonly adminUrl: string;
}

/** What the database contains. */
export interface TestDatabaseOptions {
  readonly entities: EntitySchema[];
  readonly migrations: MigrationsList;
  readonly readable?: Readable;
  /** A superuser's connection to another server than the usual one. */
  readonly adminUrl?: string;
  /** Changes to how the process connects. */
  readonly connection?: Partial<Pick<DatabaseOptions, "poolMax" | "lockTimeoutMs" | "statementTimeoutMs">>;
}

/**
 * Creates a database for the service and migrates it up. The server is the one at `TEST_POSTGRES_URL` (a superuser's
 * connection); without it, one embedded server per test process is started and removed at its end.
 */
export async function testDatabase(service: string, options: TestDatabaseOptions): Promise<TestDatabase> {
  const admin = options.adminUrl ?? (await serverUrl());
  const databaseName = `${service}_${randomUUID().slice(0, 8)}`;
  const { url, ownerUrl, readerUrl } = await provisionDatabase({
    adminUrl: admin,
    service,
    databaseName,
    password: `${service}-test`,
    ownerPassword: `${service}-owner-test`,
    readerPassword: `${service}-reader-test`,
  });
  await migrateUp({ url: ownerUrl, migrations: options.migrations, readable: options.readable });
  const database = await Database.open({
    url,
    name: `${service}-test`,
    entities: options.entities,
    ...options.connection,
  });
  const adminUrl = new URL(admin);
  adminUrl.pathname = `/${databaseName}`;
  return {
    database,
    url,
    ownerUrl,
    readerUrl,
    adminUrl: adminUrl.href,
    async [Symbol.asyncDispose]() {
      await database.close();
      await dropDatabase(admin, databaseName);
    },
  };
}

let server: Promise<string> | undefined;

/** A superuser's connection to the server that tests use. */
export function serverUrl(): Promise<string> {
  const given = process.env.TEST_POSTGRES_URL;
  // Nothing in a test outlives its server, so it need not wait for disks.
  server ??= given
    ? Promise.resolve(given)
    : startEmbedded(["fsync=off", "full_page_writes=off", "max_connections=300"]);
  return server;
}

/**
 * Starts an embedded server on a free port and returns a superuser's connection. The server ends with this process,
 * whatever ends it.
 *
 * @param settings `name=value` as in `postgresql.conf`
 */
export async function startEmbedded(settings: string[]): Promise<string> {
  const flags = settings.flatMap((setting) => ["-c", setting]);
  const keeper = spawn(process.execPath, [fileURLToPath(import.meta.resolve("./postgres-keeper.ts")), ...flags], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: keeper.stdout });
  const [line] = (await Promise.race([once(lines, "line"), once(keeper, "exit").then(() => [])])) as string[];
  if (!line?.startsWith("postgres://")) throw new Error("embedded PostgreSQL does not start");
  // The tests' end must not wait for the server's: closing our end of its standard input stops it.
  for (const handle of [keeper, keeper.stdin, keeper.stdout]) unref(handle);
  return line;
}

function unref(handle: object): void {
  if ("unref" in handle && typeof handle.unref === "function") handle.unref();
}

async function dropDatabase(admin: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: admin });
  await client.connect();
  // A pool that was closed has told its connections to end, and does not wait for that. One that is terminated in this moment
  // is an error that nobody hears, which ends the process.
  const alone = async () => {
    const { rowCount } = await client.query("select from pg_stat_activity where datname = $1", [name]);
    return rowCount === 0;
  };
  await until(alone, "its connections have ended", { deadlineMs: 2_000 }).catch(() => undefined);
  await client.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`);
  await client.end();
}
