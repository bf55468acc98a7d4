import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import type { Secret } from "#platform/secret.ts";

/** SQLSTATE of a password that is not the role's. */
const wrongPassword = "28P01";
/** Pause between two looks at whether another password has come, in milliseconds. */
const lookEveryMs = 50;

type Connected = Parameters<Parameters<pg.Pool["connect"]>[0]>;

/**
 * Has new connections of a pool log in as the secret says now. One whose password is refused has it read again, and waits for another one
 * for a while: whoever changes a password changes it at the server and in a file, one after the other.
 *
 * @param waitMs how long a caller may wait for a connection
 */
export function followPassword(pool: pg.Pool, url: Secret, waitMs: number): void {
  if (!url.changes) return;
  url.onChange((text) => {
    pool.options.connectionString = text;
  });
  const connect = pool.connect.bind(pool) as () => Promise<pg.PoolClient>;
  const persist = async (): Promise<pg.PoolClient> => {
    const end = performance.now() + waitMs;
    for (;;) {
      const { text } = url;
      try {
        return await connect();
      } catch (error) {
        // biome-ignore lint/plugin/timing: the code of an error, and no password
        if ((error as pg.DatabaseError).code !== wrongPassword || !(await isOther(url, text, end))) throw error;
      }
    }
  };
  const connectAs = (done?: (...connected: Connected) => void) => {
    const connecting = persist();
    if (!done) return connecting;
    connecting.then(
      (client) => done(undefined, client, (error) => client.release(error)),
      (error: Error) => done(error, undefined, () => undefined),
    );
    return undefined;
  };
  pool.connect = connectAs as pg.Pool["connect"];
}

/** Waits until the secret is another one than before. What is wrong with its file is told by who reads it again and again. */
async function isOther(url: Secret, before: string, end: number): Promise<boolean> {
  for (;;) {
    try {
      url.look();
    } catch {
      // As if it had not changed yet.
    }
    if (url.text !== before) return true;
    if (performance.now() + lookEveryMs > end) return false;
    await pause(lookEveryMs);
  }
}
