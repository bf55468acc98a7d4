import type pg from "pg";
import { RunningStatement } from "./observe.ts";
import { rowTypes } from "./row-types.ts";
import type { SqlText } from "./sql-text.ts";

/** What both a database and a transaction can do. */
export interface Queryable {
  /** Runs one statement and returns its rows; for the types of columns see `rowTypes`. */
  query<R extends object = Record<string, unknown>>(sql: SqlText | string, values?: readonly unknown[]): Promise<R[]>;
}

/** One transaction, READ COMMITTED, on one connection. */
export interface Transaction extends Queryable {
  /**
   * Runs the last statement and commits in the same round trip; returns the rows once the commit is durable.
   * When the statement fails, the transaction is rolled back.
   */
  commitWith<R extends object = Record<string, unknown>>(
    sql: SqlText | string,
    values?: readonly unknown[],
  ): Promise<R[]>;
}

/** Those behind which there is another server connection in each transaction. */
const forgetful = new WeakSet<object>();

/** Prepares no statement on the connections of a pool: the next transaction may be on a connection that does not know it. */
export function forgetStatements(pool: pg.Pool): void {
  forgetful.add(pool);
  pool.on("connect", (client) => void forgetful.add(client));
}

/** A statement as pg takes it: one with a name is prepared. */
function queryOf(client: object, sql: SqlText | string): { text: string; name?: string } {
  if (typeof sql === "string") return { text: sql };
  const { name, text, prepared = true } = sql;
  return prepared && !forgetful.has(client) ? { name, text } : { text };
}

/** Runs one statement on a client or pool. */
export async function runStatement<R extends object>(
  client: pg.Pool | pg.ClientBase,
  sql: SqlText | string,
  values: readonly unknown[] = [],
): Promise<R[]> {
  const result = await observed(client, sql, () =>
    client.query<R>({ ...queryOf(client, sql), values: values as unknown[], types: rowTypes }),
  );
  return result.rows;
}

/** Runs a statement so that it is seen in metrics and in the trace of who asks for it. */
async function observed<T>(client: pg.Pool | pg.ClientBase, sql: SqlText | string, run: () => Promise<T>): Promise<T> {
  const running = new RunningStatement(sql, databaseOf(client));
  try {
    const result = await run();
    running.end();
    return result;
  } catch (error) {
    running.end(error);
    throw error;
  }
}

/** The name of the database; pg has it on connections, and on pools what they were made of. */
function databaseOf(client: pg.Pool | pg.ClientBase): string | undefined {
  if ("database" in client && typeof client.database === "string") return client.database;
  return "options" in client ? databaseName(client.options.connectionString) : undefined;
}

const names = new Map<string, string>();

/** The database that a URL names. */
export function databaseName(url: string | undefined): string | undefined {
  if (!url) return undefined;
  const name = names.get(url) ?? new URL(url).pathname.slice(1);
  names.set(url, name);
  return name;
}

/** The end of a transaction waits for the disk, so it is measured as a statement of its own. */
const commitStatement: SqlText = { name: "commit", text: "commit" };

function commitOn(client: pg.PoolClient): Promise<pg.QueryResult> {
  return observed(client, commitStatement, () => client.query("commit"));
}

/** Runs `work` in a transaction on a connection of the pool; commits when it returns, rolls back when it throws. */
export async function inTransaction<T>(pool: pg.Pool, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  const transaction = new PooledTransaction(client);
  let broken: Error | undefined;
  try {
    const result = await work(transaction);
    await transaction.commit();
    return result;
  } catch (error) {
    broken = await transaction.rollback();
    throw error;
  } finally {
    client.release(broken);
  }
}

/** The connection is in pipeline mode: `begin` travels with the first statement, `commit` with the last one. */
class PooledTransaction implements Transaction {
  readonly #client: pg.PoolClient;
  readonly #begun: Promise<unknown>;
  #failure: unknown;
  #committed = false;

  constructor(client: pg.PoolClient) {
    this.#client = client;
    this.#begun = inOnePacket(client, () => client.query("begin"));
    // Without this, a `begin` that fails while `work` is elsewhere would be an unhandled rejection.
    this.#begun.catch((error: unknown) => {
      this.#failure = error;
    });
  }

  async query<R extends object>(sql: SqlText | string, values?: readonly unknown[]): Promise<R[]> {
    this.#check();
    const rows = await runStatement<R>(this.#client, sql, values);
    this.#check();
    return rows;
  }

  async commitWith<R extends object>(sql: SqlText | string, values?: readonly unknown[]): Promise<R[]> {
    this.#check();
    const [rows, commit] = await inOnePacket(this.#client, () =>
      Promise.allSettled([runStatement<R>(this.#client, sql, values), commitOn(this.#client)]),
    );
    this.#committed = true;
    if (rows.status === "rejected") throw rows.reason;
    if (commit.status === "rejected") throw commit.reason;
    this.#check();
    expectCommitted(commit.value.command);
    return rows.value;
  }

  async commit(): Promise<void> {
    if (this.#committed) return;
    await this.#begun;
    this.#committed = true;
    const { command } = await commitOn(this.#client);
    expectCommitted(command);
  }

  /** Returns the error that makes the connection unusable, if the rollback itself failed. */
  async rollback(): Promise<Error | undefined> {
    try {
      await this.#client.query("rollback");
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** A statement behind a `begin` that failed ran outside a transaction: nothing may follow it. */
  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** Sends what is written now together with what follows in this turn: a system call costs more than the statement. */
function inOnePacket<T>(client: pg.PoolClient, write: () => T): T {
  const { stream } = client.connection;
  stream.cork();
  process.nextTick(() => stream.uncork());
  return write();
}

/** PostgreSQL answers the commit of a failed transaction with the tag ROLLBACK instead of an error. */
function expectCommitted(command: string): void {
  if (command !== "COMMIT") throw new Error(`the transaction was not committed: the server answered ${command}`);
}
