import pg from "pg";

/** Asks one database; several questions see the same moment. */
export type Ask = <R>(sql: string, values?: readonly unknown[]) => Promise<R[]>;

/** The books could not be compared, because a database cannot be asked; the message is one sentence. */
export class BooksError extends Error {
  override readonly name = "BooksError";
}

/** How long the connection and one question may take, in milliseconds. A question reads some thousand rows. */
const connectionTimeoutMs = 10_000;
const statementTimeoutMs = 30_000;

/**
 * A moment that only reads. Rows are found by their ids, never by a whole table, whatever the planner knows of it; what was found
 * is joined at will, although a service may keep its own statements from it.
 */
const begin = [
  "begin isolation level repeatable read read only",
  "set local enable_seqscan = off",
  "set local enable_hashjoin = on",
  "set local enable_mergejoin = on",
  "set local jit = off",
].join("; ");

/** One database, asked over one connection. Each moment that is looked at is let go of soon: it holds back the vacuum. */
export class Reader implements AsyncDisposable {
  readonly #client: pg.Client;
  readonly #name: string;
  /** The most rows that were read of one moment. */
  mostRows = 0;
  /** How long the longest moment was looked at, in milliseconds. */
  longestMs = 0;

  private constructor(url: string) {
    this.#name = new URL(url).pathname.slice(1);
    this.#client = new pg.Client({
      application_name: "books",
      connectionString: url,
      connectionTimeoutMillis: connectionTimeoutMs,
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: statementTimeoutMs,
    });
    // What breaks the connection fails the question as well.
    this.#client.on("error", () => undefined);
  }

  /** @param url a connection that may read what is asked for. @throws BooksError when the database cannot be reached */
  static async open(url: string): Promise<Reader> {
    const reader = new Reader(url);
    await reader.#answer(reader.#client.connect());
    return reader;
  }

  /** Asks in one read-only transaction, one at a time. @throws BooksError when a question is refused or takes too long */
  async moment<T>(work: (ask: Ask) => Promise<T>): Promise<T> {
    const start = performance.now();
    let rows = 0;
    await this.#answer(this.#client.query(begin));
    const result = await work(async (sql, values = []) => {
      const answer = await this.#answer(this.#client.query(sql, [...values]));
      rows += answer.rows.length;
      return answer.rows;
    });
    await this.#answer(this.#client.query("commit"));
    this.mostRows = Math.max(this.mostRows, rows);
    this.longestMs = Math.max(this.longestMs, performance.now() - start);
    return result;
  }

  /** About how many rows a table has; undefined when PostgreSQL has not counted them yet. */
  async estimate(table: string): Promise<number | undefined> {
    const sql = "select reltuples::bigint as rows from pg_class where oid = $1::regclass";
    const [row] = await this.moment((ask) => ask<{ rows: string }>(sql, [table]));
    return row && Number(row.rows) > 0 ? Number(row.rows) : undefined;
  }

  /** What cannot be done, in one sentence. */
  failure(why: string, cause?: unknown): BooksError {
    return new BooksError(`The balance of ${this.#name} cannot be taken: ${why}.`, { cause });
  }

  async #answer<R>(question: Promise<R>): Promise<R> {
    try {
      return await question;
    } catch (cause) {
      throw this.failure(sentenceOf(cause), cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end();
  }
}

/** A host of several addresses is refused by each of them, in an error without a message of its own. */
function sentenceOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(sentenceOf).join("; ");
  return cause instanceof Error ? cause.message : String(cause);
}
