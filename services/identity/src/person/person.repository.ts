import { selectList } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import { passwordRefused, personNotFound, tokenOver } from "../proof/errors.ts";
import { audited, effects } from "../proof/identity-audit.ts";
import { hashOf, newSecret } from "../proof/secret-text.ts";
import type { LoginAttempts } from "./login-attempts.ts";
import type { PasswordMail } from "./mail.ts";
import { firstRoles, normalized, type Person } from "./person.ts";

/** A person with what is kept of the password. */
export interface KnownPerson extends Person {
  readonly password: string;
}

/** A password that was set by mail: whose, and whether the person was not known before. */
export interface PasswordSet {
  readonly personId: string;
  readonly email: string;
  readonly created: boolean;
}

/** Another password of somebody, hashed, in place of the one of now. */
export interface PasswordChange {
  readonly person: KnownPerson;
  readonly sessionId: string;
  readonly password: string;
}

/** Which people; the newest first, older than `after`. */
export interface PersonPage {
  /** Empty: all. */
  readonly email: string;
  readonly after: string | undefined;
  readonly limit: number;
}

const columns = selectList<Person>(
  {
    personId: true,
    email: true,
    roles: true,
    createTime: true,
    updateTime: true,
    secondFactor:
      "exists (select from second_factor f where f.person_id = person.person_id and f.confirm_time is not null)",
  },
  "person",
);

const insertToken: SqlText = {
  name: "insert-mail-token",
  text: `insert into mail_token (hash, email, expire_time)
    select $1, $2::text, now() + $3::float8 * interval '1 millisecond'
    where not exists (select from mail_token where email = $2 and create_time > now() - interval '1 minute')
    returning expire_time as "expireTime"`,
};

const findToken: SqlText = {
  name: "find-mail-token",
  text: "select email from mail_token where hash = $1 and use_time is null and expire_time > now()",
};

/** Of several tokens of an address one is used; the others are void. */
const useToken: SqlText = {
  name: "use-mail-token",
  text: `with used as (
      update mail_token set use_time = now() where hash = $1 and use_time is null and expire_time > now() returning email
    ), others as (
      update mail_token m set use_time = now() from used u where m.email = u.email and m.hash <> $1 and m.use_time is null
    )
    select email from used`,
};

const setPassword: SqlText = {
  name: "set-password",
  text: `insert into person (person_id, email, password, roles) values ($1, $2, $3, $4)
    on conflict (email) do update set password = excluded.password, update_time = now()
    returning person_id as "personId", xmax = 0 as created`,
};

/** Unless it is another one already. */
const changePassword: SqlText = {
  name: "change-password",
  text: "update person set password = $2, update_time = now() where person_id = $1 and password = $3 returning 1",
};

const voidTokens: SqlText = {
  name: "void-mail-tokens",
  text: "update mail_token set use_time = now() where email = $1 and use_time is null",
};

const endOthers: SqlText = {
  name: "end-other-sessions",
  text: `update session set end_time = now() where person_id = $1 and session_id <> $2 and end_time is null
    returning session_id`,
};

const endSessions = `update session set end_time = now() where person_id = $1 and end_time is null`;

const setRoles: SqlText = {
  name: "set-roles",
  text: `with changed as (
      update person set roles = $2, update_time = now() where person_id = $1 returning ${columns}
    ), ended as (${endSessions})
    select * from changed`,
};

const find: SqlText = { name: "find-person", text: `select ${columns} from person where person_id = $1` };
const findInSession: SqlText = {
  name: "find-person-in-session",
  text: `select ${columns}, password from person join session s using (person_id)
    where person_id = $1 and s.session_id = $2 and s.end_time is null and s.expire_time > now()`,
};
const findByEmail: SqlText = {
  name: "find-person-by-email",
  text: `select ${columns}, password from person where email = $1`,
};

function toPerson<Row extends Person>(row: Row): Row {
  return { ...row, personId: encodeId(row.personId) };
}

/** Keeps people. */
export class PersonRepository {
  readonly #database: Database;
  readonly #attempts: LoginAttempts;

  constructor(database: Database, attempts: LoginAttempts) {
    this.#database = database;
    this.#attempts = attempts;
  }

  /** A new token for an address; undefined when it got one just now. */
  async newToken(email: string, ttlMs: number): Promise<PasswordMail | undefined> {
    const token = newSecret("ordermesh_mail_");
    const values = [hashOf(token), normalized(email), ttlMs];
    const [row] = await this.#database.query<{ expireTime: Date }>(insertToken, values);
    return row && { kind: "password_token", email, token, expireTime: row.expireTime };
  }

  /** The address that a token was sent to. @throws TOKEN_OVER */
  async emailOf(token: string): Promise<string> {
    const [row] = await this.#database.query<{ email: string }>(findToken, [hashOf(token)]);
    if (!row) throw tokenOver();
    return row.email;
  }

  /**
   * Uses a token to set a password; who was not known is a person now. All sessions end.
   *
   * @param password as it is kept
   * @throws TOKEN_OVER
   */
  setPassword(token: string, password: string): Promise<PasswordSet> {
    return this.#database.transaction(async (tx) => {
      const [used] = await tx.query<{ email: string }>(useToken, [hashOf(token)]);
      if (!used) throw tokenOver();
      const values = [decodeId(newId()), used.email, password, firstRoles];
      const [row] = await tx.query<{ personId: string; created: boolean }>(setPassword, values);
      if (!row) throw new Error("a password was set for nobody");
      await tx.query(endSessions, [row.personId]);
      await this.#attempts.succeeded(used.email, tx);
      const personId = encodeId(row.personId);
      const action = row.created ? "person.registered" : "password.set";
      await tx.commitWith(audited, [effects({ action, subject: personId })]);
      return { personId, email: used.email, created: row.created };
    });
  }

  /**
   * Sets another password, and ends all sessions but one.
   *
   * @returns how many ended
   * @throws PASSWORD_REFUSED when it was changed a moment ago
   */
  changePassword({ person, sessionId, password }: PasswordChange): Promise<number> {
    const { personId, email } = person;
    return this.#database.transaction(async (tx) => {
      const changed = await tx.query(changePassword, [decodeId(personId), password, person.password]);
      if (changed.length === 0) throw passwordRefused();
      await tx.query(voidTokens, [email]);
      const ended = await tx.query(endOthers, [decodeId(personId), decodeId(sessionId)]);
      const details = { ended: String(ended.length) };
      await tx.commitWith(audited, [effects({ action: "password.changed", subject: personId, details })]);
      return ended.length;
    });
  }

  /** Somebody in a session that goes on; undefined when it has ended. */
  async findInSession(personId: string, sessionId: string): Promise<KnownPerson | undefined> {
    const [row] = await this.#database.query<KnownPerson>(findInSession, [decodeId(personId), decodeId(sessionId)]);
    return row && toPerson(row);
  }

  /** Somebody by his address; undefined when it is nobody's. */
  async findByEmail(email: string): Promise<KnownPerson | undefined> {
    const [row] = await this.#database.query<KnownPerson>(findByEmail, [normalized(email)]);
    return row && toPerson(row);
  }

  /** @throws PERSON_NOT_FOUND */
  async get(personId: string): Promise<Person> {
    const [row] = await this.#database.query<Person>(find, [decodeId(personId)]);
    if (!row) throw personNotFound(personId);
    return toPerson(row);
  }

  /** At most `limit` people. */
  async list({ email, after, limit }: PersonPage): Promise<Person[]> {
    const values: unknown[] = [limit];
    const conditions: string[] = [];
    if (email) conditions.push(`email = $${values.push(normalized(email))}`);
    if (after) conditions.push(`person_id < $${values.push(decodeId(after))}::uuid`);
    const where = conditions.length > 0 ? `where ${conditions.join(" and ")}` : "";
    // biome-ignore lint/plugin/sql: the conditions are those above, with parameters
    const text = `select ${columns} from person ${where} order by person_id desc limit $1`;
    return (await this.#database.query<Person>(text, values)).map(toPerson);
  }

  /** @throws PERSON_NOT_FOUND */
  setRoles(personId: string, roles: readonly string[]): Promise<Person> {
    return this.#database.transaction(async (tx) => {
      const [row] = await tx.query<Person>(setRoles, [decodeId(personId), roles]);
      if (!row) throw personNotFound(personId);
      const details = { roles: roles.join(" ") };
      await tx.commitWith(audited, [effects({ action: "person.roles_set", subject: personId, details })]);
      return toPerson(row);
    });
  }

  /** @returns how many there were @throws PERSON_NOT_FOUND */
  endSessions(personId: string): Promise<number> {
    return this.#database.transaction(async (tx) => {
      const [known] = await tx.query<Person>(find, [decodeId(personId)]);
      if (!known) throw personNotFound(personId);
      const ended = await tx.query(`${endSessions} returning session_id`, [decodeId(personId)]);
      const details = { ended: String(ended.length) };
      await tx.commitWith(audited, [effects({ action: "person.sessions_ended", subject: personId, details })]);
      return ended.length;
    });
  }
}
