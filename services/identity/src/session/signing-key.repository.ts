import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable, Transaction } from "#platform/database/transaction.ts";
import { newId } from "#platform/id.ts";
import type { Secret } from "#platform/secret.ts";
import { audited, effects } from "../proof/identity-audit.ts";

/** A key that signs access tokens. */
export interface SigningKey {
  readonly keyId: string;
  readonly publicKey: JWK;
  /** Undefined when it was sealed with another secret: it can be shown, and signs nothing. */
  readonly privateKey: JWK | undefined;
  /** From when on it signs, if there is no newer one. */
  readonly signTime: Date;
}

/** How old a key becomes, and how long it is shown before it signs; milliseconds. */
export interface SigningKeyTimes {
  readonly maxAgeMs: number;
  readonly leadMs: number;
}

interface KeyRow {
  keyId: string;
  publicKey: JWK;
  privateKey: Buffer;
  signTime: Date;
}

/** One process at a time makes a key. Any number, the same in every process. */
const lockKey = 7_203_118;
const ivBytes = 12;
const tagBytes = 16;

const lock = `select pg_advisory_xact_lock(${lockKey})`;
const all: SqlText = {
  name: "find-signing-keys",
  text: `select key_id as "keyId", public_key as "publicKey", private_key as "privateKey", sign_time as "signTime"
    from signing_key order by sign_time`,
};
const insert: SqlText = {
  name: "insert-signing-key",
  text: `insert into signing_key (key_id, private_key, public_key, sign_time)
    values ($1, $2, $3, now() + $4::float8 * interval '1 millisecond')`,
};
const isDue: SqlText = {
  name: "find-newest-signing-key",
  text: `select coalesce(max(create_time) < now() - $1::float8 * interval '1 millisecond', true) as due
    from signing_key`,
};
const remove: SqlText = { name: "delete-signing-keys", text: "delete from signing_key where key_id <> all($1)" };

/** Keeps the keys that sign, their private halves sealed: a copy of the database signs nothing. */
export class SigningKeyRepository {
  readonly #database: Database;
  readonly #times: SigningKeyTimes;
  readonly #secret: Pick<Secret, "text">;
  /** What seals, by the secret that it is derived from: one of before still opens what it has sealed. */
  readonly #sealing = new Map<string, Buffer>();

  /** @param secret `PAGE_TOKEN_SECRET`, the service's own; what seals is derived from it */
  constructor(database: Database, secret: Pick<Secret, "text">, times: SigningKeyTimes) {
    this.#database = database;
    this.#times = times;
    this.#secret = secret;
  }

  /** All keys, by when they begin to sign. */
  async all(on: Queryable = this.#database): Promise<SigningKey[]> {
    const rows = await on.query<KeyRow>(all);
    return rows.map((row) => ({ ...row, privateKey: this.#open(row) }));
  }

  /**
   * Makes a key when there is none, or when the newest is old.
   *
   * @param none whether there is none that this process can sign with: then it makes one that signs at once
   * @returns whether it did
   */
  makeIfDue(none: boolean): Promise<boolean> {
    return this.#database.transaction(async (tx) => {
      await tx.query(lock);
      const [newest] = await tx.query<{ due: boolean }>(isDue, [this.#times.maxAgeMs]);
      // Another process may have made the first one meanwhile.
      const isAway = none && !(await this.all(tx)).some(({ privateKey }) => privateKey);
      if (!newest?.due && !isAway) return false;
      const keyId = await this.#make(tx, isAway ? 0 : this.#times.leadMs);
      await tx.query(audited, [effects({ action: "signing_key.created", subject: keyId, actor: "service:identity" })]);
      return true;
    });
  }

  /** Makes a key that signs at once, and forgets all others. @returns its id */
  replace(): Promise<string> {
    return this.#database.transaction(async (tx) => {
      await tx.query(lock);
      const keyId = await this.#make(tx, 0);
      await tx.query(remove, [[keyId]]);
      await tx.query(audited, [effects({ action: "signing_key.replaced", subject: keyId, actor: "service:identity" })]);
      return keyId;
    });
  }

  /** Forgets all keys but these. */
  async keepOnly(keyIds: readonly string[]): Promise<void> {
    await this.#database.query(remove, [keyIds]);
  }

  async #make(tx: Transaction, leadMs: number): Promise<string> {
    const pair = await generateKeyPair("EdDSA", { extractable: true });
    const keyId = newId();
    const publicKey = { ...(await exportJWK(pair.publicKey)), kid: keyId, alg: "EdDSA", use: "sig" };
    const sealed = this.#seal(keyId, JSON.stringify(await exportJWK(pair.privateKey)));
    await tx.query(insert, [keyId, sealed, JSON.stringify(publicKey), leadMs]);
    return keyId;
  }

  /** Bound to its row: a key that is moved to another one is not opened. */
  #seal(keyId: string, text: string): Buffer {
    const iv = randomBytes(ivBytes);
    const cipher = createCipheriv("aes-256-gcm", this.#keyOf(this.#secret.text), iv);
    cipher.setAAD(Buffer.from(keyId));
    const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
    return Buffer.concat([iv, sealed, cipher.getAuthTag()]);
  }

  #open(row: KeyRow): JWK | undefined {
    this.#keyOf(this.#secret.text);
    for (const key of this.#sealing.values()) {
      const opened = openWith(key, row);
      if (opened) return opened;
    }
    return undefined;
  }

  #keyOf(secret: string): Buffer {
    const known = this.#sealing.get(secret);
    if (known) return known;
    const key = Buffer.from(hkdfSync("sha256", secret, "", "ordermesh signing key", 32));
    this.#sealing.set(secret, key);
    return key;
  }
}

function openWith(key: Buffer, { keyId, privateKey }: KeyRow): JWK | undefined {
  try {
    const options = { authTagLength: tagBytes };
    const decipher = createDecipheriv("aes-256-gcm", key, privateKey.subarray(0, ivBytes), options);
    decipher.setAAD(Buffer.from(keyId));
    decipher.setAuthTag(privateKey.subarray(-tagBytes));
    const text = decipher.update(privateKey.subarray(ivBytes, -tagBytes), undefined, "utf8") + decipher.final("utf8");
    // biome-ignore lint/plugin/json: a key that we wrote, and what changed it would not open
    return JSON.parse(text) as JWK;
  } catch {
    return undefined;
  }
}
