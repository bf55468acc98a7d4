import { createHmac, randomBytes } from "node:crypto";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { KeyProvider } from "./key-provider.ts";
import type { PersonalKeyRow } from "./personal-key.ts";

/** It is nobody's: no erasure reaches it. */
const nobody = "00000000-0000-0000-0000-000000000000";
const id = nobody.replaceAll("-", "");

const find: SqlText = {
  name: "blind_index_find",
  text: "select key_id, master, wrapped from personal_key where key_id = $1",
};
const make: SqlText = {
  name: "blind_index_make",
  text: `insert into personal_key (key_id, subject, master, wrapped) values ($1, $1, $2, $3) on conflict do nothing`,
};

/**
 * Finds somebody whose address is sealed, by a keyed hash of it. Its key lies with those of persons, wrapped like them, and is made when it
 * is first needed: a master key that is replaced leaves the hashes as they are. Whoever has it can try addresses; nobody else can.
 */
export class BlindIndex {
  readonly #database: Queryable;
  readonly #keys: KeyProvider;
  #key: Promise<Buffer> | undefined;

  constructor(database: Queryable, keys: KeyProvider) {
    this.#database = database;
    this.#keys = keys;
  }

  /** HMAC-SHA256 of a text: the same for the same text. The first one asks the database; never call it within a transaction before {@link ready}. */
  async hash(text: string): Promise<Buffer> {
    return createHmac("sha256", await this.ready())
      .update(text)
      .digest();
  }

  /** Has the key at hand: what holds a connection must not wait for a second one. */
  ready(): Promise<Buffer> {
    this.#key ??= this.#load().catch((error: unknown) => {
      // The database was away, or a master key: the next one tries again.
      this.#key = undefined;
      throw error;
    });
    return this.#key;
  }

  async #load(): Promise<Buffer> {
    const [known] = await this.#database.query<PersonalKeyRow>(find, [nobody]);
    if (known) return this.#keys.unwrap(known, id);
    const { master, wrapped } = await this.#keys.wrap(randomBytes(32), id);
    await this.#database.query(make, [nobody, master, wrapped]);
    // Another process may have been faster.
    return this.#load();
  }
}
