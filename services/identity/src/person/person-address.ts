import type { Queryable } from "#platform/database/transaction.ts";
import { BlindIndex } from "#platform/personal/blind-index.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import type { PersonalKeyRow } from "#platform/personal/personal-key.ts";
import { emailHash, normalized } from "./person.ts";

/** An address as it is to be written: plain or sealed, and the key that goes with it then. */
export interface ProtectedAddress {
  readonly email: string | null;
  readonly sealedEmail: string | null;
  readonly key: PersonalKeyRow | undefined;
}

/** An address as rows hold it; sealed with its key behind it. */
export interface StoredAddress {
  readonly email: string | null;
  readonly sealedEmail: string | null;
}

/** By what an address is found, wherever it lies plain or sealed. */
export interface AddressKeys {
  /** Normalized. */
  readonly email: string;
  /** Null where nothing can be sealed. */
  readonly hash: Buffer | null;
}

/** Seals the addresses of logins, opens them, and finds them. */
export class PersonAddresses {
  readonly #personal: PersonalData;
  readonly #index: BlindIndex | undefined;

  constructor(database: Queryable, personal: PersonalData) {
    this.#personal = personal;
    this.#index = personal.keys && new BlindIndex(database, personal.keys);
  }

  /** Whether what is written is sealed. */
  get seals(): boolean {
    return this.#personal.seals;
  }

  /** The first one asks the database: never within a transaction. */
  async keysOf(email: string): Promise<AddressKeys> {
    const bare = normalized(email);
    return { email: bare, hash: (await this.#index?.hash(bare)) ?? null };
  }

  /** What attempts for an address are counted by: it may be nobody's. */
  async countedBy(email: string): Promise<Buffer> {
    const { hash } = this.seals ? await this.keysOf(email) : { hash: null };
    return hash ?? emailHash(email);
  }

  /** @param place where it lies: the table and what its row is known by */
  async protect(place: string, email: string): Promise<ProtectedAddress> {
    if (!this.seals) return { email: normalized(email), sealedEmail: null, key: undefined };
    const { text, key } = await this.#personal.seal(place, normalized(email));
    return { email: null, sealedEmail: text, key };
  }

  /** The reverse; empty when it is forgotten. */
  async open(place: string, { email, sealedEmail }: StoredAddress): Promise<string> {
    if (sealedEmail === null) return email ?? "";
    return ((await this.#personal.open(place, sealedEmail)) as string | undefined) ?? "";
  }
}

/** @param personId a uuid */
export function personPlace(personId: string): string {
  return `person.email/${personId}`;
}

/** @param hash of the token */
export function tokenPlace(hash: Buffer): string {
  return `mail_token.email/${hash.toString("hex")}`;
}
