import { selectList } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import { insertPersonalKeys, withKey } from "#platform/personal/personal-key.ts";
import type { PasswordMail } from "../mail/mail.ts";
import { passwordRefused, personNotFound, tokenOver } from "../proof/errors.ts";
import { audited, effects } from "../proof/identity-audit.ts";
import { hashOf, newSecret } from "../proof/secret-text.ts";
import type { LoginAttempts } from "./login-attempts.ts";
import { firstRoles, type Person } from "./person.ts";
import {
  type AddressKeys,
  type PersonAddresses,
  personPlace,
  type StoredAddress,
  tokenPlace,
} from "./person-address.ts";

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

/** A person as the row has it. */
interface PersonRow extends Omit<Person, "email">, StoredAddress {}

const columns = selectList<PersonRow>(
  {
    personId: true,
    email: true,
    sealedEmail: withKey("person.sealed_email"),
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
  text: `insert into mail_token (hash, email, sealed_email, email_hash, expire_time)
    select $1, $4::text, $5::text, $6::bytea, now() + $7::float8 * interval '1 millisecond'
    where not exists (
      select from mail_token where (email = $2 or email_hash = $3) and create_time > now() - interval '1 minute'
    )
    returning expire_time as "expireTime"`,
};

const findToken: SqlText = {
  name: "find-mail-token",
  text: `select email, ${withKey("sealed_email")} as "sealedEmail" from mail_token
    where hash = $1 and use_time is null and expire_time > now()`,
};

const useToken: SqlText = {
  name: "use-mail-token",
  text: "update mail_token set use_time = now() where hash = $1 and use_time is null and expire_time > now() returning 1",
};

/** Whose address this is, plain or sealed: `$1` and `$2` are {@link AddressKeys}. */
const hasAddress =
  "(person.email = $1 or person.person_id = (select e.person_id from person_email e where e.email_hash = $2))";

const setPassword: SqlText = {
  name: "set-password",
  text: `update person set password = $3, update_time = now() where ${hasAddress} returning person_id as "personId"`,
};

/** Of two at once the second one waits for the first, and finds somebody who is known. */
const takeAddress: SqlText = {
  name: "take-person-address",
  text: "insert into person_email (email_hash, person_id) values ($1, $2) on conflict do nothing returning 1",
};

const insertPerson: SqlText = {
  name: "insert-person",
  text: `insert into person (person_id, email, sealed_email, password, roles) values ($1, $2, $3, $4, $5)
    on conflict (email) do nothing returning 1`,
};

/** Unless it is another one already. */
const changePassword: SqlText = {
  name: "change-password",
  text: "update person set password = $2, update_time = now() where person_id = $1 and password = $3 returning 1",
};

const voidTokens: SqlText = {
  name: "void-mail-tokens",
  text: "update mail_token set use_time = now() where (email = $1 or email_hash = $2) and use_time is null",
};

/** The one that is sent now is the only one. */
const voidOlder: SqlText = {
  name: "void-older-mail-tokens",
  text: `update mail_token set use_time = now()
    where (email = $1 or email_hash = $2) and use_time is null and hash <> $3`,
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
      update person set roles = $2, update_time = now() where person_id = $1 and erase_time is null
      returning ${columns}
    ), ended as (${endSessions})
    select * from changed`,
};

const find: SqlText = {
  name: "find-person",
  text: `select ${columns} from person where person_id = $1 and erase_time is null`,
};
const findInSession: SqlText = {
  name: "find-person-in-session",
  text: `select ${columns}, password from person join session s using (person_id)
    where person_id = $1 and s.session_id = $2 and s.end_time is null and s.expire_time > now()`,
};
const findByEmail: SqlText = {
  name: "find-person-by-email",
  text: `select ${columns}, password from person where ${hasAddress}`,
};

/** Keeps people. */
export class PersonRepository {
  readonly #database: Database;
  readonly #attempts: LoginAttempts;
  readonly #addresses: PersonAddresses;

  constructor(database: Database, attempts: LoginAttempts, addresses: PersonAddresses) {
    this.#database = database;
    this.#attempts = attempts;
    this.#addresses = addresses;
  }

  /** A new token for an address, in place of those of before; undefined when it got one just now. */
  async newToken(email: string, ttlMs: number): Promise<PasswordMail | undefined> {
    const token = newSecret("ordermesh_mail_");
    const hash = hashOf(token);
    const keys = await this.#addresses.keysOf(email);
    const { key, ...stored } = await this.#addresses.protect(tokenPlace(hash), email);
    const kept = [stored.email, stored.sealedEmail, key ? keys.hash : null];
    return this.#database.transaction(async (tx) => {
      const [row] = await tx.query<{ expireTime: Date }>(insertToken, [hash, keys.email, keys.hash, ...kept, ttlMs]);
      if (!row) return undefined;
      // Whose it is, is not known yet: the key is that of the token alone.
      if (key) await insertPersonalKeys(tx, key.key_id, [key]);
      await tx.query(voidOlder, [keys.email, keys.hash, hash]);
      return { kind: "password_token", email, token, expireTime: row.expireTime };
    });
  }

  /** The address that a token was sent to. @throws TOKEN_OVER */
  async emailOf(token: string): Promise<string> {
    const hash = hashOf(token);
    const [row] = await this.#database.query<StoredAddress>(findToken, [hash]);
    if (!row) throw tokenOver();
    return this.#addresses.open(tokenPlace(hash), row);
  }

  /**
   * Uses a token to set a password; who was not known is a person now. All sessions end.
   *
   * @param password as it is kept
   * @throws TOKEN_OVER
   */
  async setPassword(token: string, password: string): Promise<PasswordSet> {
    const email = await this.emailOf(token);
    const keys = await this.#addresses.keysOf(email);
    const counted = await this.#addresses.countedBy(email);
    return this.#database.transaction(async (tx) => {
      if ((await tx.query(useToken, [hashOf(token)])).length === 0) throw tokenOver();
      // Of several tokens of an address one is used.
      await tx.query(voidTokens, [keys.email, keys.hash]);
      const { uuid, created } = await this.#setOrRegister(tx, keys, password);
      await tx.query(endSessions, [uuid]);
      await this.#attempts.succeeded(counted, tx);
      const personId = encodeId(uuid);
      const action = created ? "person.registered" : "password.set";
      await tx.commitWith(audited, [effects({ action, subject: personId })]);
      return { personId, email, created };
    });
  }

  async #setOrRegister(
    tx: Transaction,
    keys: AddressKeys,
    password: string,
  ): Promise<{ uuid: string; created: boolean }> {
    const set = async () => (await tx.query<{ personId: string }>(setPassword, [keys.email, keys.hash, password]))[0];
    const known = await set();
    if (known) return { uuid: known.personId, created: false };
    const made = await this.#register(tx, keys, password);
    if (made) return { uuid: made, created: true };
    const other = await set();
    if (!other) throw new Error("a password was set for nobody");
    return { uuid: other.personId, created: false };
  }

  /** @returns the new id, a uuid; undefined when somebody registered with this address a moment ago */
  async #register(tx: Transaction, { email, hash }: AddressKeys, password: string): Promise<string | undefined> {
    const uuid = decodeId(newId());
    const { key, ...stored } = await this.#addresses.protect(personPlace(uuid), email);
    if (key) {
      if ((await tx.query(takeAddress, [hash, uuid])).length === 0) return undefined;
      await insertPersonalKeys(tx, uuid, [key]);
    }
    const inserted = await tx.query(insertPerson, [uuid, stored.email, stored.sealedEmail, password, firstRoles]);
    return inserted.length > 0 ? uuid : undefined;
  }

  /**
   * Sets another password, and ends all sessions but one.
   *
   * @returns how many ended
   * @throws PASSWORD_REFUSED when it was changed a moment ago
   */
  async changePassword({ person, sessionId, password }: PasswordChange): Promise<number> {
    const { personId } = person;
    const { email, hash } = await this.#addresses.keysOf(person.email);
    return this.#database.transaction(async (tx) => {
      const changed = await tx.query(changePassword, [decodeId(personId), password, person.password]);
      if (changed.length === 0) throw passwordRefused();
      await tx.query(voidTokens, [email, hash]);
      const ended = await tx.query(endOthers, [decodeId(personId), decodeId(sessionId)]);
      const details = { ended: String(ended.length) };
      await tx.commitWith(audited, [effects({ action: "password.changed", subject: personId, details })]);
      return ended.length;
    });
  }

  /** Somebody in a session that goes on; undefined when it has ended. */
  async findInSession(personId: string, sessionId: string): Promise<KnownPerson | undefined> {
    const values = [decodeId(personId), decodeId(sessionId)];
    const [row] = await this.#database.query<PersonRow & { password: string }>(findInSession, values);
    return row && this.#toPerson(row);
  }

  /** Somebody by his address; undefined when it is nobody's. */
  async findByEmail(email: string): Promise<KnownPerson | undefined> {
    const { email: bare, hash } = await this.#addresses.keysOf(email);
    const [row] = await this.#database.query<PersonRow & { password: string }>(findByEmail, [bare, hash]);
    return row && this.#toPerson(row);
  }

  /** @throws PERSON_NOT_FOUND */
  async get(personId: string): Promise<Person> {
    const [row] = await this.#database.query<PersonRow>(find, [decodeId(personId)]);
    if (!row) throw personNotFound(personId);
    return this.#toPerson(row);
  }

  /** At most `limit` people. */
  async list({ email, after, limit }: PersonPage): Promise<Person[]> {
    const { email: bare, hash } = email ? await this.#addresses.keysOf(email) : { email: null, hash: null };
    const values: unknown[] = [bare, hash, limit];
    const conditions = ["erase_time is null", email ? hasAddress : "$1::text is null and $2::bytea is null"];
    if (after) conditions.push(`person_id < $${values.push(decodeId(after))}::uuid`);
    // biome-ignore lint/plugin/sql: the conditions are those above, with parameters
    const text = `select ${columns} from person where ${conditions.join(" and ")} order by person_id desc limit $3`;
    const rows = await this.#database.query<PersonRow>(text, values);
    return Promise.all(rows.map((row) => this.#toPerson(row)));
  }

  /** @throws PERSON_NOT_FOUND */
  setRoles(personId: string, roles: readonly string[]): Promise<Person> {
    return this.#database.transaction(async (tx) => {
      const [row] = await tx.query<PersonRow>(setRoles, [decodeId(personId), roles]);
      if (!row) throw personNotFound(personId);
      const details = { roles: roles.join(" ") };
      await tx.commitWith(audited, [effects({ action: "person.roles_set", subject: personId, details })]);
      return this.#toPerson(row);
    });
  }

  /** @returns how many there were @throws PERSON_NOT_FOUND */
  endSessions(personId: string): Promise<number> {
    return this.#database.transaction(async (tx) => {
      const [known] = await tx.query<PersonRow>(find, [decodeId(personId)]);
      if (!known) throw personNotFound(personId);
      const ended = await tx.query(`${endSessions} returning session_id`, [decodeId(personId)]);
      const details = { ended: String(ended.length) };
      await tx.commitWith(audited, [effects({ action: "person.sessions_ended", subject: personId, details })]);
      return ended.length;
    });
  }

  async #toPerson<Row extends PersonRow>({ sealedEmail, ...row }: Row): Promise<Omit<Row, "sealedEmail"> & Person> {
    const email = await this.#addresses.open(personPlace(row.personId), { email: row.email, sealedEmail });
    return { ...row, email, personId: encodeId(row.personId) };
  }
}
