import { hash } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { decodeJwt } from "jose";
import type { Caller, Credentials } from "#platform/caller.ts";
import { DomainError } from "#platform/errors.ts";
import { issuerAway } from "./errors.ts";

/** How API keys begin; everything else is a token. */
const prefix = "ordermesh_key_";
/** How long a key is taken that was exchanged, in milliseconds: so long after it was revoked it is still good. */
const rememberMs = 60_000;
const mostRemembered = 10_000;

function isRefused(error: unknown): boolean {
  return error instanceof DomainError && error.code === Code.Unauthenticated;
}

/** Whose key it is, and until when the token proves it that the key was exchanged for. */
interface Proved {
  readonly caller: Caller;
  readonly expires: number;
}

/**
 * Takes API keys as they are, for people who call by hand: exchanges them for tokens, and takes those. When they cannot be exchanged
 * for the moment, a key that was exchanged before is good for as long as its last token would be.
 */
export class ExchangedKeys implements Credentials {
  readonly #tokens: Credentials;
  readonly #exchange: (key: string) => Promise<string>;
  /** By the hash of the key, the oldest first. What is refused is forgotten at once. */
  readonly #known = new Map<string, { readonly proved: Promise<Proved>; readonly until: number }>();

  /** @param exchange gives the access token of a key; throws what the caller is told */
  constructor(tokens: Credentials, exchange: (key: string) => Promise<string>) {
    this.#tokens = tokens;
    this.#exchange = exchange;
  }

  known(credential: string): Caller | undefined {
    return credential.startsWith(prefix) ? undefined : this.#tokens.known?.(credential);
  }

  /** So is one that is being exchanged. */
  isKnown(credential: string): boolean {
    if (!credential.startsWith(prefix)) return this.#tokens.isKnown?.(credential) ?? false;
    return this.#known.has(hash("sha256", credential, "base64"));
  }

  /** @throws CREDENTIAL_REFUSED, UNAVAILABLE */
  async verify(credential: string): Promise<Caller> {
    if (!credential.startsWith(prefix)) return this.#tokens.verify(credential);
    const id = hash("sha256", credential, "base64");
    const known = this.#known.get(id);
    if (known && known.until > Date.now()) return (await known.proved).caller;
    const proved = this.#prove(credential, known?.proved);
    if (this.#known.size >= mostRemembered) this.#known.delete(this.#known.keys().next().value ?? "");
    this.#known.set(id, { proved, until: Date.now() + rememberMs });
    proved.catch(() => this.#known.delete(id));
    return (await proved).caller;
  }

  async #prove(key: string, before: Promise<Proved> | undefined): Promise<Proved> {
    try {
      const token = await this.#exchange(key);
      // It was given a moment ago: if it is not good here, our clock or the issuer is wrong, and not who shows the key.
      const caller = await this.#tokens.verify(token).catch((error: unknown) => {
        throw isRefused(error) ? issuerAway(error) : error;
      });
      return { caller, expires: (decodeJwt(token).exp ?? 0) * 1000 };
    } catch (error) {
      const last = isRefused(error) ? undefined : await before;
      if (last && last.expires > Date.now() + rememberMs) return last;
      throw error;
    }
  }
}
