import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { SigningKey, SigningKeyRepository } from "./signing-key.repository.ts";

/** A key with both halves. */
export type UsableKey = SigningKey & { readonly privateKey: NonNullable<SigningKey["privateKey"]> };

/** How long what was read of the keys is used, in milliseconds: shorter than the lead of a new one. */
const freshMs = 10_000;

/** The keys that sign and are shown, as all replicas see them. */
export class KeyRing {
  readonly #repository: SigningKeyRepository;
  readonly #tokenTtlMs: number;
  #keys: Promise<SigningKey[]> | undefined;
  #readAt = 0;

  /** @param tokenTtlMs how long what a key signed is valid: so long is it shown after the next one has begun */
  constructor(repository: SigningKeyRepository, tokenTtlMs: number) {
    this.#repository = repository;
    this.#tokenTtlMs = tokenTtlMs;
  }

  /** The one that signs now: the newest whose time has come. */
  async current(): Promise<UsableKey> {
    const usable = (await this.#read()).filter((key): key is UsableKey => key.privateKey !== undefined);
    const begun = usable.filter(({ signTime }) => signTime.getTime() <= Date.now());
    const key = begun.at(-1) ?? usable[0];
    if (!key) throw new Error("there is no key to sign with");
    return key;
  }

  /** The public halves of those that sign, have signed what is still valid, or are about to sign. */
  async published(): Promise<JSONWebKeySet> {
    return { keys: (await this.#shown()).map(({ publicKey }) => publicKey) };
  }

  /** For the verification of what is shown to us. */
  readonly verifying: JWTVerifyGetKey = async (header, token) =>
    createLocalJWKSet(await this.published())(header, token);

  /** Makes a key when one is due, and forgets those that nobody needs. @returns how many were made */
  async rotate(): Promise<number> {
    const usable = (await this.#read()).some(({ privateKey }) => privateKey !== undefined);
    const made = await this.#repository.makeIfDue(!usable);
    if (made || !usable) this.reread();
    const shown = await this.#shown();
    const known = await this.#read();
    if (shown.length < known.length) {
      await this.#repository.keepOnly(shown.map(({ keyId }) => keyId));
      this.reread();
    }
    return made ? 1 : 0;
  }

  /** Signs with a new key from now on, and shows no other. @returns its id */
  async replace(): Promise<string> {
    const keyId = await this.#repository.replace();
    this.reread();
    return keyId;
  }

  /** Has the keys read anew before they are used. */
  reread(): void {
    this.#keys = undefined;
  }

  async #shown(): Promise<SigningKey[]> {
    const keys = await this.#read();
    // A key is shown until what it signed last is over: until the next one has signed for as long as a token is valid.
    const isOver = (index: number): boolean => {
      const next = keys[index + 1];
      return next !== undefined && next.signTime.getTime() + this.#tokenTtlMs + freshMs < Date.now();
    };
    return keys.filter((_, index) => !isOver(index));
  }

  #read(): Promise<SigningKey[]> {
    const now = Date.now();
    if (this.#keys && now - this.#readAt < freshMs) return this.#keys;
    const reading = this.#repository.all();
    this.#keys = reading;
    this.#readAt = now;
    // What failed is not kept.
    reading.catch(() => {
      if (this.#keys === reading) this.#keys = undefined;
    });
    return reading;
  }
}
