import type pg from "pg";
import type { Queryable } from "./transaction.ts";

/** A pooler stands between us and the database where a session is needed; the message is one sentence that says what to set. */
export class PoolerError extends Error {
  override readonly name = "PoolerError";
}

/** The settings by which each wait has an end, in milliseconds; connections that are not pooled bring them along. */
export const sessionEnds = {
  statement_timeout: 5_000,
  lock_timeout: 2_000,
  idle_in_transaction_session_timeout: 10_000,
} as const;

/** PgBouncer's word for what it makes no session with. */
const unsupported = /unsupported startup parameter/;

const sayPooled =
  "the database is behind a pooler that keeps no sessions: set DATABASE_POOLED=true, and for orders DATABASE_DIRECT_URL, which leads to the server itself";
const sayDirect = "migrations need a session: let DATABASE_MIGRATION_URL lead to the server itself, not to a pooler";

/** Why a connection failed, when it was a pooler. */
export function poolerRefusal(error: unknown): PoolerError | undefined {
  if (!(error instanceof Error && unsupported.test(error.message))) return undefined;
  return new PoolerError(`${sayPooled} (${error.message})`, { cause: error });
}

/**
 * Finds a pooler that was told to leave out what it does not support: nothing fails then at once, and much later. Where we know of a
 * pooler, the role has to bring its time-outs.
 *
 * @throws PoolerError
 */
export async function requireEnds(database: Queryable, pooled: boolean): Promise<void> {
  const rows = await database.query<{ name: keyof typeof sessionEnds; setting: string; role: string }>(
    "select name, setting, quote_ident(current_user) as role from pg_settings where name = any($1::text[])",
    [Object.keys(sessionEnds)],
  );
  const left = rows.filter(({ name, setting }) => (pooled ? setting === "0" : setting !== String(sessionEnds[name])));
  if (left.length === 0) return;
  if (!pooled) throw new PoolerError(`${sayPooled} (it leaves out ${left.map(({ name }) => name).join(", ")})`);
  const statements = left.map(({ name, role }) => `alter role ${role} set ${name} = ${sessionEnds[name]}`);
  throw new PoolerError(`behind a pooler the role has to bring its time-outs: ${statements.join("; ")}`);
}

/** What a run of migrations says of a connection that has no session of its own. @throws PoolerError, or what it was given */
export function refuseMigration(error: unknown): never {
  throw error instanceof Error && unsupported.test(error.message)
    ? new PoolerError(sayDirect, { cause: error })
    : error;
}

/**
 * @param lockTimeoutMs what the connection was made with
 * @throws PoolerError
 */
export async function requireOwnSession(client: pg.Client, lockTimeoutMs: number): Promise<void> {
  const { rows } = await client.query<{ setting: string }>(
    "select setting from pg_settings where name = 'lock_timeout'",
  );
  if (rows[0]?.setting !== String(lockTimeoutMs)) throw new PoolerError(sayDirect);
}
