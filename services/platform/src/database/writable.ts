import type pg from "pg";
import { isServerAway } from "#platform/errors.ts";
import { runStatement } from "./transaction.ts";

/** On a standby transactions are read-only, and wherever they are told to be. */
const askWritable = "select current_setting('transaction_read_only') = 'off' as writable";
/** SQLSTATE of what is written to a server that takes no writes. */
const readOnly = "25006";

/** Throws when the database does not answer, or takes no writes: as a write would, which no caller has to lose for it. */
export async function requireWritable(client: pg.Pool | pg.ClientBase): Promise<void> {
  const [answer] = await runStatement<{ writable: boolean }>(client, askWritable);
  if (!answer?.writable) throw Object.assign(new Error("the database takes no writes"), { code: readOnly });
}

/**
 * The connections of a pool are given up together once one of them hears that its server is away or takes no writes. After a
 * failover there may be another server behind the address, and a connection that is kept would ask the old one for ever.
 */
export class Connections {
  readonly #open = new Set<pg.PoolClient>();
  readonly #retired = new WeakSet<pg.PoolClient>();

  constructor(pool: pg.Pool) {
    pool.on("connect", (client) => {
      this.#open.add(client);
      client.connection.on("errorMessage", ({ code = "" }: pg.DatabaseError) => {
        if (isServerAway(code)) this.retire();
      });
    });
    pool.on("remove", (client) => this.#open.delete(client));
    // Told before the pool decides whether it keeps the connection: it keeps none that is ending.
    pool.on("release", (_error, client) => {
      if (this.#retired.has(client)) void client.end();
    });
  }

  /** Each connection ends as soon as whoever has it gives it back; what is idle is used once more. */
  retire(): void {
    for (const client of this.#open) this.#retired.add(client);
  }
}
