import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { insertPersonalKeys, withKey } from "#platform/personal/personal-key.ts";
import { personNotFound } from "../proof/errors.ts";
import { audited, effects } from "../proof/identity-audit.ts";
import { emailHash, type Person } from "./person.ts";
import { type PersonAddresses, personPlace, type StoredAddress } from "./person-address.ts";

/** What is kept of somebody besides the person itself. */
export interface Kept {
  readonly openSessions: number;
  readonly recoveryCodes: number;
}

/** Those that the index of plain addresses has: few, once all are sealed. */
const findPlain: SqlText = {
  name: "person-personal-plain",
  prepared: false,
  text: `select person_id as "personId", email, null::text as "sealedEmail" from person where email is not null
    order by email limit $1 for no key update skip locked`,
};

/** For the way back, which is rare. */
const findSealed: SqlText = {
  name: "person-personal-sealed",
  prepared: false,
  text: `select person_id as "personId", email, ${withKey("sealed_email")} as "sealedEmail" from person
    where sealed_email is not null limit $1 for no key update skip locked`,
};

const move: SqlText = {
  name: "person-personal-move",
  prepared: false,
  text: `with former as (
      delete from personal_key k using person p where p.person_id = $1 and k.key_id = left(p.sealed_email, 32)::uuid
    )
    update person set email = $2, sealed_email = $3 where person_id = $1`,
};

const keepAddress: SqlText = {
  name: "person-personal-keep",
  prepared: false,
  text: "insert into person_email (email_hash, person_id) values ($1, $2) on conflict do nothing",
};

const leaveAddress: SqlText = {
  name: "person-personal-leave",
  prepared: false,
  text: "delete from person_email where person_id = $1",
};

const count: SqlText = {
  name: "count-kept-of-person",
  prepared: false,
  text: `select (select count(*)::int from session
        where person_id = $1 and end_time is null and expire_time > now()) as "openSessions",
      (select count(*)::int from recovery_code where person_id = $1) as "recoveryCodes"`,
};

const erase: SqlText = {
  name: "erase-person",
  prepared: false,
  text: `update person set email = null, sealed_email = null, password = '', roles = '{}',
      erase_time = date_trunc('milliseconds', now()), update_time = now()
    where person_id = $1 and erase_time is null returning erase_time as "eraseTime"`,
};

/** All that names the person, or that it proves who it is with; `$2` to `$4`: the address, and what it is found and counted by. */
const forget: SqlText = {
  name: "forget-person",
  prepared: false,
  text: `with addresses as (delete from person_email where person_id = $1),
    factors as (delete from second_factor where person_id = $1),
    sessions as (delete from session where person_id = $1),
    attempts as (delete from login_attempt where email_hash in ($3, $4)),
    tokens as (delete from mail_token where email = $2 or email_hash = $3 returning sealed_email),
    keys as (delete from personal_key k using tokens t where k.key_id = left(t.sealed_email, 32)::uuid)
    delete from personal_key where subject = $1`,
};

interface AddressRow extends StoredAddress {
  readonly personId: string;
}

/** What is kept of who people are: has it lie sealed or plain, tells it, and forgets it. */
export class PersonErasure {
  readonly #database: Database;
  readonly #addresses: PersonAddresses;

  constructor(database: Database, addresses: PersonAddresses) {
    this.#database = database;
    this.#addresses = addresses;
  }

  /** Has at most `limit` addresses lie as they are to lie now, sealed or plain; returns how many there were. For a `PersonalSweep`. */
  async moveBatch(limit: number): Promise<number> {
    const { seals } = this.#addresses;
    // What holds a connection must not wait for a second one.
    await this.#addresses.keysOf("");
    return this.#database.transaction(async (tx) => {
      const rows = await tx.query<AddressRow>(seals ? findPlain : findSealed, [limit]);
      for (const row of rows) await this.#move(tx, row);
      return rows.length;
    });
  }

  /** How much there is besides the person. */
  async keptOf(personId: string): Promise<Kept> {
    const [row] = await this.#database.query<Kept>(count, [decodeId(personId)]);
    return row ?? { openSessions: 0, recoveryCodes: 0 };
  }

  /** Forgets who somebody is. The row stays, empty: nobody may take its id. @returns when @throws PERSON_NOT_FOUND */
  async erase({ personId, email }: Person): Promise<Date> {
    const uuid = decodeId(personId);
    const { email: bare, hash } = await this.#addresses.keysOf(email);
    return this.#database.transaction(async (tx) => {
      const [erased] = await tx.query<{ eraseTime: Date }>(erase, [uuid]);
      if (!erased) throw personNotFound(personId);
      await tx.query(forget, [uuid, bare, hash, emailHash(email)]);
      await tx.commitWith(audited, [effects({ action: "person.erased", subject: personId })]);
      return erased.eraseTime;
    });
  }

  async #move(tx: Transaction, row: AddressRow): Promise<void> {
    const { personId: uuid } = row;
    const email = await this.#addresses.open(personPlace(uuid), row);
    const { hash } = await this.#addresses.keysOf(email);
    const { key, ...stored } = await this.#addresses.protect(personPlace(uuid), email);
    await (key ? tx.query(keepAddress, [hash, uuid]) : tx.query(leaveAddress, [uuid]));
    await tx.query(move, [uuid, stored.email, stored.sealedEmail]);
    if (key) await insertPersonalKeys(tx, uuid, [key]);
  }
}
