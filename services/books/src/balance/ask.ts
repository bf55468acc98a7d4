import pg from "pg";

/** Asks one database; several questions see the same moment. */
export type Ask = <R>(sql: string, values?: readonly unknown[]) => Promise<R[]>;

/** The books could not be compared, because a database cannot be asked; the message is one sentence. */
export class BooksError extends Error {
  override readonly name = "BooksError";
}

/** How long the connection and one question may take, in milliseconds. A question reads whole tables. */
const connectionTimeoutMs = 10_000;
const statementTimeoutMs = 60_000;

/**
 * Runs questions on one database in one read-only transaction that sees one moment.
 *
 * @param url a connection that may read what is asked for
 * @throws BooksError when the database cannot be reached, or refuses a question
 */
export async function askAt<T>(url: string, work: (ask: Ask) => Promise<T>): Promise<T> {
  const name = new URL(url).pathname.slice(1);
  const answer = async <R>(question: Promise<R>): Promise<R> => {
    try {
      return await question;
    } catch (cause) {
      throw new BooksError(`The balance of ${name} cannot be taken: ${sentenceOf(cause)}.`, { cause });
    }
  };
  const client = new pg.Client({
    application_name: "books",
    connectionString: url,
    connectionTimeoutMillis: connectionTimeoutMs,
    statement_timeout: statementTimeoutMs,
  });
  // What breaks the connection fails the question as well.
  client.on("error", () => undefined);
  try {
    await answer(client.connect());
    await answer(client.query("begin isolation level repeatable read read only"));
    // A service may keep its own statements from reading whole tables; here that is what is wanted.
    for (const plan of ["seqscan", "hashjoin", "mergejoin"]) {
      await answer(client.query(`set local enable_${plan} = on`));
    }
    return await work(async (sql, values = []) => (await answer(client.query(sql, [...values]))).rows);
  } finally {
    await client.end();
  }
}

/** A host of several addresses is refused by each of them, in an error without a message of its own. */
function sentenceOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(sentenceOf).join("; ");
  return cause instanceof Error ? cause.message : String(cause);
}
