import { setTimeout as pause } from "node:timers/promises";
import type { MigrationObject } from "@mikro-orm/core";
import { Migrator } from "@mikro-orm/migrations";
import { MikroORM } from "@mikro-orm/postgresql";
import pg from "pg";
import { refuseMigration, requireOwnSession } from "./session.ts";
import type { Queryable } from "./transaction.ts";

/** A service's migrations, oldest first; names never change. */
export type MigrationsList = readonly MigrationObject[];

/**
 * What the reader of a service's database may see: tables and views, those of other schemas with theirs, each with its columns. Personal data and what pays belong to nobody but the service.
 */
export type Readable = Readonly<Record<string, readonly string[]>>;

/** What a migration run needs. */
export interface MigrateOptions {
  /** The owner role's connection. */
  readonly url: string;
  readonly migrations: MigrationsList;
  /** The role that reads and writes at run time; default: the owner's name without `_owner`. */
  readonly runtimeRole?: string;
  /** Granted to the role `<service>_reader`, if there is one, after each run upwards. */
  readonly readable?: Readable | undefined;
  /**
   * How long a statement waits for a table that is in use, in milliseconds; default 3,000. Whatever wants the table after
   * it waits behind it: a migration rather fails, and is run again, than stops the service.
   */
  readonly lockTimeoutMs?: number;
}

const table = "schema_migration";
/** One run at a time per database: a second one waits for the first. Any number, the same in every process. */
const lockKey = 7_203_115;
const lockWaitMs = 60_000;
const lockLookEveryMs = 250;

/**
 * Applies everything that is pending, each migration in a transaction of its own (an {@link IndexMigration} in none), and returns
 * the names. What fails stays pending, with what comes after it. Then the reader is granted what it may see,
 * whether something was pending or not: the role may have been made after the tables.
 */
export function migrateUp(options: MigrateOptions): Promise<string[]> {
  return withMigrator(options, async (migrator, client) => {
    const done = await migrator.up();
    if (options.readable) await grantReader(client, serviceOf(options), options.readable);
    return done;
  });
}

/** Takes back the last migration, or everything down to and including `to`; returns the names. */
export function migrateDown(options: MigrateOptions, to?: string): Promise<string[]> {
  return withMigrator(options, (migrator) =>
    to === undefined ? migrator.down() : migrator.down({ migrations: namesDownTo(options, to) }),
  );
}

/** The names that the code knows and the database does not have yet. Works with the runtime role. */
export async function pendingMigrations(database: Queryable, migrations: MigrationsList): Promise<string[]> {
  const [found] = await database.query<{ exists: boolean }>("select to_regclass($1) is not null as exists", [table]);
  const rows = found?.exists ? await database.query<{ name: string }>(`select name from ${table}`) : [];
  const done = new Set(rows.map((row) => row.name));
  return migrations.map((migration) => migration.name).filter((name) => !done.has(name));
}

/** Throws one sentence when migrations are pending. A schema that is ahead of the code is fine: expand, then contract. */
export async function requireMigrated(database: Queryable, migrations: MigrationsList): Promise<void> {
  const pending = await pendingMigrations(database, migrations);
  if (pending.length === 0) return;
  throw new Error(`the database lacks ${pending.length} migration(s): ${pending.join(", ")}; run "migrate up" first`);
}

async function withMigrator(
  options: MigrateOptions,
  work: (migrator: Migrator, client: pg.Client) => Promise<{ name: string }[]>,
): Promise<string[]> {
  const client = new pg.Client({
    connectionString: options.url,
    connectionTimeoutMillis: 5_000,
    lock_timeout: lockWaitMs,
  });
  await client.connect().catch(refuseMigration);
  try {
    await requireOwnSession(client, lockWaitMs);
    await lock(client);
    const orm = await MikroORM.init({
      clientUrl: options.url,
      driverOptions: { connectionString: options.url, lock_timeout: options.lockTimeoutMs ?? 3_000 },
      entities: [],
      discovery: { warnWhenNoEntities: false },
      extensions: [Migrator],
      // What a migration sets for its connection holds for all its statements.
      pool: { min: 1, max: 1 },
      migrations: {
        tableName: table,
        migrationsList: [...options.migrations],
        allOrNothing: false,
        snapshot: false,
        silent: true,
      },
    });
    try {
      const done = await work(new Migrator(orm.em), client);
      await grantTable(client, options);
      return done.map((migration) => migration.name);
    } finally {
      await orm.close();
    }
  } finally {
    await client.end();
  }
}

/**
 * Looks again and again. A statement that waited for the lock would be one that an index, which is built concurrently under the
 * same lock, waits for in turn: it lets every statement end that began before it.
 *
 * @throws when another run has not ended in time
 */
async function lock(client: pg.Client): Promise<void> {
  const end = performance.now() + lockWaitMs;
  for (;;) {
    const { rows } = await client.query<{ mine: boolean }>("select pg_try_advisory_lock($1) as mine", [lockKey]);
    if (rows[0]?.mine) return;
    if (performance.now() >= end) throw new Error("another run of migrations has not ended; run this one again later");
    await pause(lockLookEveryMs);
  }
}

/** The owner is called after the service. */
function serviceOf({ url }: MigrateOptions): string {
  return decodeURIComponent(new URL(url).username).replace(/_owner$/, "");
}

/** The runtime role reads the list at start, to refuse a schema that is too old. */
async function grantTable(client: pg.Client, options: MigrateOptions): Promise<void> {
  const role = options.runtimeRole ?? serviceOf(options);
  await client.query(`grant select on ${table} to ${pg.escapeIdentifier(role)}`);
}

/** What was granted before and is not named any more is taken back; nobody sees a moment without either. */
async function grantReader(client: pg.Client, service: string, readable: Readable): Promise<void> {
  const name = `${service}_reader`;
  const { rowCount } = await client.query("select from pg_roles where rolname = $1", [name]);
  if (rowCount === 0) return;
  const role = pg.escapeIdentifier(name);
  const schemas = new Set(Object.keys(readable).flatMap((place) => place.split(".").slice(0, -1)));
  const { rows: seen } = await client.query<{ place: string }>(
    `select c.oid::regclass::text as place from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm') and c.relowner = current_user::regrole and not n.nspname like 'pg\\_%'`,
  );
  const statements = [
    ...seen.map(({ place }) => `revoke all on ${place} from ${role}`),
    ...[...schemas].map((schema) => `grant usage on schema ${schema} to ${role}`),
    ...Object.entries(readable).map(
      ([place, columns]) => `grant select (${columns.join(", ")}) on ${place} to ${role}`,
    ),
  ];
  await client.query("begin");
  try {
    for (const statement of statements) await client.query(statement);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}

function namesDownTo(options: MigrateOptions, to: string): string[] {
  const names = options.migrations.map((migration) => migration.name);
  const index = names.indexOf(to);
  if (index < 0) throw new Error(`there is no migration "${to}"; there are: ${names.join(", ")}`);
  return names.slice(index).reverse();
}
