import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { tooManyAttempts } from "../proof/errors.ts";

/** How many passwords, or codes, may be tried in a row. */
export interface AttemptLimits {
  readonly free: number;
  readonly max: number;
  /** Milliseconds. */
  readonly delayMaxMs: number;
}

/**
 * SQL of when the next attempt may be made, `infinity` for none; `$2`, `$3` and `$4` are {@link AttemptLimits} in their order.
 *
 * @param attempts how many there were, with this one
 */
export function nextAttempt(attempts: string): string {
  return `case
        when ${attempts} >= $3::int then 'infinity'::timestamptz
        when ${attempts} < $2::int then now()
        else now() + least($4::float8, 1000 * 2 ^ least(${attempts} - $2::int, 30)) * interval '1 millisecond'
      end`;
}

/** SQL of how many milliseconds that is away; null for ever. */
export const untilNextAttempt =
  "case when next_time < 'infinity' then extract(epoch from next_time - now())::float8 * 1000 end";

/** In whole milliseconds, as a refusal tells it. */
export function toDelay(ms: number | null | undefined): number | undefined {
  return ms == null ? undefined : Math.max(1, Math.ceil(ms));
}

/**
 * Counts before the password is looked at, so that a thousand guesses at once are a thousand. The first of a day begins anew. Nothing is
 * changed, and no row comes back, while the next one is not due; that is looked at once the row is locked, and so not by `now()`, which
 * is when the statement began.
 */
const begin: SqlText = {
  name: "begin-login-attempt",
  text: `insert into login_attempt as a (email_hash, attempts, next_time, update_time) values ($1, 1, now(), now())
    on conflict (email_hash) do update set (attempts, next_time, update_time) = (
      select n.attempts, ${nextAttempt("n.attempts")}, now()
      from (select case when a.update_time < now() - interval '1 day' then 1 else a.attempts + 1 end) n(attempts)
    )
    where a.next_time <= clock_timestamp()
    returning attempts`,
};

const due: SqlText = {
  name: "find-login-attempt",
  text: `select ${untilNextAttempt} as ms from login_attempt where email_hash = $1`,
};

const forget: SqlText = { name: "forget-login-attempts", text: "delete from login_attempt where email_hash = $1" };

/** The passwords that are tried for an address, whether or not it is somebody's. */
export class LoginAttempts {
  readonly #database: Database;
  readonly #limits: AttemptLimits;

  constructor(database: Database, limits: AttemptLimits) {
    this.#database = database;
    this.#limits = limits;
  }

  /** Counts one attempt, by what `PersonAddresses.countedBy` makes of an address. @throws TOO_MANY_ATTEMPTS */
  async begin(key: Buffer): Promise<void> {
    const { free, max, delayMaxMs } = this.#limits;
    const begun = await this.#database.query(begin, [key, free, max, delayMaxMs]);
    if (begun.length > 0) return;
    const [found] = await this.#database.query<{ ms: number | null }>(due, [key]);
    throw tooManyAttempts("passwords were tried for this address", toDelay(found?.ms));
  }

  /** The right password was given, or another one set. */
  async succeeded(key: Buffer, on: Queryable = this.#database): Promise<void> {
    await on.query(forget, [key]);
  }
}
