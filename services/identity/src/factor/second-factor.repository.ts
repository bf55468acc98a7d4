import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { insertPersonalKeys, keyIdOf, withKey } from "#platform/personal/personal-key.ts";
import { type AttemptLimits, nextAttempt, toDelay, untilNextAttempt } from "../person/login-attempts.ts";
import type { LoggedIn } from "../person/password-proof.ts";
import { secondFactorExists, secondFactorMissing, tooManyAttempts } from "../proof/errors.ts";
import { audited, effects, type IdentityAction } from "../proof/identity-audit.ts";
import { newRecoveryCode, recoveryCodes, recoveryHash } from "./recovery-code.ts";

/** Whether one counts, or waits for its first code. */
export type FactorState = "confirmed" | "waiting";

/** What a code is compared with. */
export interface Attempt {
  /** Undefined when its key is gone: no code is right any more. */
  readonly secret: string | undefined;
  /** Milliseconds since 1970, by the clock of the database, which is the same for all replicas. */
  readonly nowMs: number;
  /** How many codes were tried in a row, with this one. */
  readonly attempts: number;
}

/** How long a second factor waits for its first code. */
const waits = "interval '15 minutes'";

const removeWaiting: SqlText = {
  name: "remove-waiting-second-factor",
  text: "delete from second_factor where person_id = $1 and confirm_time is null returning secret",
};

const insert: SqlText = {
  name: "insert-second-factor",
  text: `insert into second_factor (person_id, secret) values ($1, $2) on conflict do nothing
    returning create_time + ${waits} as "expireTime"`,
};

const forgetKey: SqlText = {
  name: "forget-second-factor-key",
  text: "delete from personal_key where key_id = $1::uuid",
};

/** Counts before the code is looked at, so that a thousand guesses at once are a thousand. Unlike passwords, no day begins anew: nothing but a right one ends the row. */
const begin: SqlText = {
  name: "begin-code-attempt",
  text: `update second_factor set attempts = attempts + 1, next_time = ${nextAttempt("attempts + 1")}
    where person_id = $1 and next_time <= clock_timestamp() and (confirm_time is not null) = $5
      and (confirm_time is not null or create_time > now() - ${waits})
    returning attempts, extract(epoch from clock_timestamp())::float8 * 1000 as "nowMs", ${withKey("secret")} as secret`,
};

const due: SqlText = {
  name: "find-code-attempt",
  text: `select ${untilNextAttempt} as ms from second_factor where person_id = $1 and (confirm_time is not null) = $2
    and (confirm_time is not null or create_time > now() - ${waits})`,
};

/** A code is good once, and none before it. */
const take: SqlText = {
  name: "take-code",
  text: `update second_factor set last_step = $2, attempts = 0, next_time = now()
    where person_id = $1 and confirm_time is not null and coalesce(last_step < $2, true) returning 1`,
};

const confirm: SqlText = {
  name: "confirm-second-factor",
  text: `update second_factor set confirm_time = now(), last_step = $2, attempts = 0, next_time = now()
    where person_id = $1 and confirm_time is null returning 1`,
};

const insertCodes: SqlText = {
  name: "insert-recovery-codes",
  text: "insert into recovery_code (hash, person_id) select unnest($2::bytea[]), $1",
};

const useRecovery: SqlText = {
  name: "use-recovery-code",
  text: `with used as (delete from recovery_code where hash = $2 and person_id = $1 returning person_id)
    update second_factor f set attempts = 0, next_time = now() from used where f.person_id = used.person_id
    returning (select count(*)::int - 1 from recovery_code c where c.person_id = f.person_id) as left`,
};

const remove: SqlText = {
  name: "remove-second-factor",
  text: "delete from second_factor where person_id = $1 returning secret",
};

/** Of the session that goes on is noted what it is now; the others end. */
const keepOne: SqlText = {
  name: "keep-one-session",
  text: `with kept as (update session set second_factor = $3 where session_id = $2 and person_id = $1)
    update session set end_time = now() where person_id = $1 and session_id <> $2 and end_time is null returning session_id`,
};

const endAll: SqlText = {
  name: "end-sessions-without-second-factor",
  text: "update session set end_time = now() where person_id = $1 and end_time is null returning session_id",
};

/** Where a secret lies; moved to another person, it does not open. */
function placeOf(personId: string): string {
  return `second_factor.secret/${personId}`;
}

/** Keeps second factors, and what is left of their recovery codes. */
export class SecondFactorRepository {
  readonly #database: Database;
  readonly #personal: PersonalData;
  readonly #limits: AttemptLimits;

  /** @param personal seals secrets whether or not other personal data is plain; needs master keys */
  constructor(database: Database, personal: PersonalData, limits: AttemptLimits) {
    this.#database = database;
    this.#personal = personal;
    this.#limits = limits;
  }

  /** Whether secrets can be sealed, without which none is kept. */
  get isAvailable(): boolean {
    return this.#personal.keys !== undefined;
  }

  /** Keeps a secret that waits for its first code, in place of another one that does. @returns until when @throws SECOND_FACTOR_EXISTS */
  async begin(personId: string, secret: string): Promise<Date> {
    const sealed = await this.#personal.seal(placeOf(personId), secret);
    const key = decodeId(personId);
    return this.#database.transaction(async (tx) => {
      await forgetKeyOf(tx, await tx.query<SecretRow>(removeWaiting, [key]));
      const [row] = await tx.query<{ expireTime: Date }>(insert, [key, sealed.text]);
      if (!row) throw secondFactorExists();
      await insertPersonalKeys(tx, key, [sealed.key]);
      await tx.commitWith(audited, [effects({ action: "second_factor.begun", subject: personId })]);
      return row.expireTime;
    });
  }

  /** Counts one code that is tried. @throws SECOND_FACTOR_MISSING, TOO_MANY_ATTEMPTS */
  async attempt(personId: string, state: FactorState): Promise<Attempt> {
    const { free, max, delayMaxMs } = this.#limits;
    const key = decodeId(personId);
    const isConfirmed = state === "confirmed";
    const values = [key, free, max, delayMaxMs, isConfirmed];
    const [row] = await this.#database.query<Attempt & { secret: string }>(begin, values);
    if (row)
      return { ...row, secret: (await this.#personal.open(placeOf(personId), row.secret)) as string | undefined };
    const [known] = await this.#database.query<{ ms: number | null }>(due, [key, isConfirmed]);
    if (!known) throw secondFactorMissing();
    throw tooManyAttempts("codes were tried", toDelay(known.ms));
  }

  /** Whether the code of this step may be used: it was not, nor a later one. */
  async take(personId: string, step: number): Promise<boolean> {
    return (await this.#database.query(take, [decodeId(personId), step])).length > 0;
  }

  /** Uses a recovery code. @returns how many are left; undefined when there is no such one */
  async useRecoveryCode(personId: string, code: string): Promise<number | undefined> {
    return this.#database.transaction(async (tx) => {
      const [used] = await tx.query<{ left: number }>(useRecovery, [decodeId(personId), recoveryHash(code)]);
      if (!used) return undefined;
      const details = { left: String(used.left) };
      await tx.commitWith(audited, [effects({ action: "recovery_code.used", subject: personId, details })]);
      return used.left;
    });
  }

  /**
   * Has the one that waits count, and ends all sessions but this one.
   *
   * @param step that of the first code
   * @returns recovery codes, which are never had again, and how many sessions ended
   * @throws SECOND_FACTOR_MISSING
   */
  confirm({ personId, sessionId }: LoggedIn, step: number): Promise<{ codes: string[]; ended: number }> {
    const codes = Array.from({ length: recoveryCodes }, newRecoveryCode);
    const key = decodeId(personId);
    return this.#database.transaction(async (tx) => {
      const confirmed = await tx.query(confirm, [key, step]);
      if (confirmed.length === 0) throw secondFactorMissing();
      await tx.query(insertCodes, [key, codes.map(recoveryHash)]);
      const ended = (await tx.query(keepOne, [key, decodeId(sessionId), true])).length;
      await write(tx, "second_factor.confirmed", { personId, ended });
      return { codes, ended };
    });
  }

  /** Takes it away, and ends all sessions but this one. @returns how many ended @throws SECOND_FACTOR_MISSING */
  disable({ personId, sessionId }: LoggedIn): Promise<number> {
    return this.#database.transaction(async (tx) => {
      if (!(await this.#remove(tx, personId))) throw secondFactorMissing();
      const ended = (await tx.query(keepOne, [decodeId(personId), decodeId(sessionId), false])).length;
      await write(tx, "second_factor.disabled", { personId, ended });
      return ended;
    });
  }

  /** Takes it away, and ends all sessions; whoever has none keeps them. @returns whether there was one */
  reset(personId: string): Promise<boolean> {
    return this.#database.transaction(async (tx) => {
      if (!(await this.#remove(tx, personId))) return false;
      const ended = (await tx.query(endAll, [decodeId(personId)])).length;
      await write(tx, "second_factor.reset", { personId, ended });
      return true;
    });
  }

  async #remove(tx: Transaction, personId: string): Promise<boolean> {
    const removed = await tx.query<SecretRow>(remove, [decodeId(personId)]);
    await forgetKeyOf(tx, removed);
    return removed.length > 0;
  }
}

interface SecretRow {
  readonly secret: string;
}

async function forgetKeyOf(tx: Transaction, [row]: readonly SecretRow[]): Promise<void> {
  if (row) await tx.query(forgetKey, [keyIdOf(row.secret)]);
}

async function write(
  tx: Transaction,
  action: IdentityAction,
  { personId, ended }: { personId: string; ended: number },
): Promise<void> {
  await tx.commitWith(audited, [effects({ action, subject: personId, details: { ended: String(ended) } })]);
}
