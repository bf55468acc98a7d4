import { setTimeout as pause } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import type { DatabaseConfig } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import { poolerRefusal, requireEnds } from "#platform/database/session.ts";
import { toConnectError } from "#platform/errors.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { ServiceDefinition } from "./service-definition.ts";

/** Why a process cannot start, in one sentence for the person who starts it. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** How long a start waits for the database, which may be starting as well; milliseconds. */
const databaseWaitMs = 30_000;
const databasePauseMs = 250;

async function waitFor(database: Database, logger: Logger): Promise<void> {
  const end = Date.now() + databaseWaitMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await database.ping();
    } catch (error) {
      const refusal = poolerRefusal(error);
      if (refusal) throw refusal;
      const away = toConnectError(error).code === Code.Unavailable;
      if (!away || Date.now() >= end)
        throw new StartError(`the database cannot be used: ${messageOf(error)}`, { cause: error });
      if (attempt === 1) logger.warn(`waiting for the database: ${messageOf(error)}`);
      await pause(databasePauseMs);
    }
  }
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}

/** Connects, and refuses a schema that is older than the code. */
export async function openDatabase(
  definition: Pick<ServiceDefinition<never>, "name" | "database">,
  config: Partial<DatabaseConfig>,
  logger: Logger,
): Promise<Database | undefined> {
  if (!definition.database || !config.DATABASE_URL) return undefined;
  // MikroORM is not loaded by a process without a database.
  const [{ Database }, { requireMigrated }] = await Promise.all([
    import("#platform/database/database.ts"),
    import("#platform/database/migrate.ts"),
  ]);
  const { entities, migrations } = definition.database;
  const options = { url: config.DATABASE_URL, name: definition.name, entities, log: logger };
  const { DATABASE_POOLED: pooled = false, DATABASE_DIRECT_URL: directUrl, DATABASE_POOL_MAX: poolMax = 10 } = config;
  const database = await Database.open({ ...options, poolMax, pooled, directUrl });
  try {
    await waitFor(database, logger);
    await requireEnds(database, pooled);
    await requireMigrated(database, migrations);
    return database;
  } catch (error) {
    await database.close();
    throw error instanceof StartError ? error : new StartError(messageOf(error), { cause: error });
  }
}

/** Opens a listener; a port that is taken is said in one sentence. */
export async function bind(what: string, address: string, listen: () => Promise<number>): Promise<number> {
  try {
    return await listen();
  } catch (error) {
    const message = messageOf(error);
    const taken = message.includes("EADDRINUSE");
    const why = taken ? "another process already listens there" : message;
    throw new StartError(`cannot listen for ${what} on ${address}: ${why}`, { cause: error });
  }
}

/** Waits for work, but not longer than the given time; then says what did not end. */
export async function within(ms: number, what: string, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const late = pause(ms, "late", { signal: timer.signal, ref: true }).catch(() => undefined);
  try {
    const first = await Promise.race([work, late]);
    if (first === "late") throw new Error(`${what} did not end within ${ms} ms`);
  } finally {
    timer.abort();
  }
}
