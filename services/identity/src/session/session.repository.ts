import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import type { LoginAttempts } from "../person/login-attempts.ts";
import type { Person } from "../person/person.ts";
import type { PersonAddresses } from "../person/person-address.ts";
import { sessionOver } from "../proof/errors.ts";
import { audited, effects } from "../proof/identity-audit.ts";
import { hashOf, newSecret } from "../proof/secret-text.ts";

/** How long sessions last, in milliseconds. */
export interface SessionTimes {
  /** From one use to the next. */
  readonly restMs: number;
  /** From the beginning. */
  readonly mostMs: number;
}

/** Where a session stands: whose it is, and what it is carried on with. */
export interface Session {
  readonly sessionId: string;
  readonly personId: string;
  readonly roles: readonly string[];
  /** Whether it was begun with a code besides the password. */
  readonly secondFactor: boolean;
  readonly refreshToken: string;
  readonly refreshExpireTime: Date;
}

const insertSession: SqlText = {
  name: "insert-session",
  text: `insert into session (session_id, person_id, expire_time, second_factor)
    values ($1, $2, now() + $3::float8 * interval '1 millisecond', $4)`,
};

const insertToken: SqlText = {
  name: "insert-refresh-token",
  text: `insert into refresh_token (hash, session_id, expire_time)
    select $2, session_id, least(expire_time, now() + $3::float8 * interval '1 millisecond') from session where session_id = $1
    returning expire_time as "expireTime"`,
};

interface ShownToken {
  sessionId: string;
  personId: string;
  roles: string[];
  secondFactor: boolean;
  used: boolean;
  over: boolean;
}

/** Locks, so that of two who show the same token at once the second sees that it was used. */
const findToken: SqlText = {
  name: "find-refresh-token",
  text: `select s.session_id as "sessionId", s.person_id as "personId", p.roles, s.second_factor as "secondFactor",
      r.use_time is not null as used,
      s.end_time is not null or s.expire_time <= now() or r.expire_time <= now() as over
    from refresh_token r join session s using (session_id) join person p using (person_id)
    where r.hash = $1 for update of s, r`,
};

const useToken: SqlText = {
  name: "use-refresh-token",
  text: "update refresh_token set use_time = now() where hash = $1",
};

const endSession: SqlText = {
  name: "end-session",
  text: "update session set end_time = now() where session_id = $1 and end_time is null",
};

const endAll: SqlText = {
  name: "end-sessions",
  text: "update session set end_time = now() where person_id = $1 and end_time is null returning session_id",
};

const forgetOver: SqlText = {
  name: "forget-sessions",
  text: `with over as (
      select session_id from session where expire_time < now() - interval '30 days' order by expire_time limit $1
    ), tokens as (delete from mail_token where expire_time < now() - interval '1 day' returning sealed_email),
    keys as (delete from personal_key k using tokens t where k.key_id = left(t.sealed_email, 32)::uuid),
    attempts as (delete from login_attempt where update_time < now() - interval '1 day' and next_time < now())
    delete from session s using over o where s.session_id = o.session_id returning s.session_id`,
};

/** What sessions are kept with. */
export interface SessionRepositoryOptions {
  readonly database: Database;
  readonly attempts: LoginAttempts;
  readonly addresses: PersonAddresses;
  readonly times: SessionTimes;
}

/** Keeps sessions, each with a chain of tokens of which only the last one can be used. */
export class SessionRepository {
  readonly #database: Database;
  readonly #attempts: LoginAttempts;
  readonly #addresses: PersonAddresses;
  readonly #times: SessionTimes;

  constructor({ database, attempts, addresses, times }: SessionRepositoryOptions) {
    this.#database = database;
    this.#attempts = attempts;
    this.#addresses = addresses;
    this.#times = times;
  }

  /** Begins a session of somebody who has given the right password, and the right code where one is wanted. */
  async begin({ personId, email, roles, secondFactor }: Person): Promise<Session> {
    const sessionId = newId();
    const counted = await this.#addresses.countedBy(email);
    return this.#database.transaction(async (tx) => {
      await this.#attempts.succeeded(counted, tx);
      await tx.query(insertSession, [decodeId(sessionId), decodeId(personId), this.#times.mostMs, secondFactor]);
      const session = { sessionId, personId, roles, secondFactor, ...(await this.#nextToken(tx, sessionId)) };
      await tx.commitWith(audited, [
        effects({ action: "session.begun", subject: personId, details: { session: sessionId } }),
      ]);
      return session;
    });
  }

  /** Goes on with a session. @throws SESSION_OVER; one that was used before ends the session */
  async refresh(refreshToken: string): Promise<Session> {
    const session = await this.#database.transaction(async (tx) => {
      const shown = await this.#show(tx, refreshToken);
      if (!shown) return undefined;
      await tx.query(useToken, [hashOf(refreshToken)]);
      const { sessionId, personId, roles, secondFactor } = shown;
      return { sessionId, personId, roles, secondFactor, ...(await this.#nextToken(tx, sessionId)) };
    });
    if (!session) throw sessionOver();
    return session;
  }

  /** Ends one session, if there is one to end. */
  async end(refreshToken: string): Promise<void> {
    await this.#database.transaction(async (tx) => {
      const [shown] = await tx.query<ShownToken>(findToken, [hashOf(refreshToken)]);
      if (!shown || shown.over) return;
      await endOne(tx, shown, "session.ended");
    });
  }

  /** Ends all sessions of whoever shows this. @throws SESSION_OVER */
  async endAll(refreshToken: string): Promise<void> {
    const ended = await this.#database.transaction(async (tx) => {
      const shown = await this.#show(tx, refreshToken);
      if (!shown) return false;
      const rows = await tx.query(endAll, [decodeId(shown.personId)]);
      const details = { ended: String(rows.length) };
      await tx.query(audited, [effects({ action: "person.sessions_ended", subject: shown.personId, details })]);
      return true;
    });
    if (!ended) throw sessionOver();
  }

  /** Forgets what has been over for long. @returns how many sessions */
  async forget(limit: number): Promise<number> {
    return (await this.#database.query(forgetOver, [limit])).length;
  }

  /** The session of a token that can be used; undefined otherwise. One that was used before ends its session. */
  async #show(tx: Transaction, refreshToken: string): Promise<ShownToken | undefined> {
    const [row] = await tx.query<ShownToken>(findToken, [hashOf(refreshToken)]);
    if (!row || row.over) return undefined;
    const shown = { ...row, sessionId: encodeId(row.sessionId), personId: encodeId(row.personId) };
    if (!row.used) return shown;
    await endOne(tx, row, "session.stolen");
    return undefined;
  }

  async #nextToken(tx: Transaction, sessionId: string): Promise<Pick<Session, "refreshToken" | "refreshExpireTime">> {
    const refreshToken = newSecret("ordermesh_refresh_");
    const values = [decodeId(sessionId), hashOf(refreshToken), this.#times.restMs];
    const [row] = await tx.query<{ expireTime: Date }>(insertToken, values);
    if (!row) throw new Error("a token was made for no session");
    return { refreshToken, refreshExpireTime: row.expireTime };
  }
}

/** Ends a session, whose ids are as the database has them. */
async function endOne(
  tx: Transaction,
  { sessionId, personId }: ShownToken,
  action: "session.ended" | "session.stolen",
): Promise<void> {
  await tx.query(endSession, [sessionId]);
  const details = { session: encodeId(sessionId) };
  await tx.query(audited, [effects({ action, subject: encodeId(personId), details })]);
}
