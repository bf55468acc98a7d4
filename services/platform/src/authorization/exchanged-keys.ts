import { hash } from "node:crypto";
import type { Caller, Credentials } from "#platform/caller.ts";

/** How API keys begin; everything else is a token. */
const prefix = "ordermesh_key_";
/** How long a key is taken that was exchanged, in milliseconds: so long after it was revoked it is still good. */
const rememberMs = 60_000;
const mostRemembered = 10_000;

/** Takes API keys as they are, for people who call by hand: exchanges them for tokens, and takes those. */
export class ExchangedKeys implements Credentials {
  readonly #tokens: Credentials;
  readonly #exchange: (key: string) => Promise<string>;
  /** By the hash of the key, the oldest first. What is refused is forgotten at once. */
  readonly #known = new Map<string, { readonly caller: Promise<Caller>; readonly until: number }>();

  /** @param exchange gives the access token of a key; throws what the caller is told */
  constructor(tokens: Credentials, exchange: (key: string) => Promise<string>) {
    this.#tokens = tokens;
    this.#exchange = exchange;
  }

  /** So is one that is being exchanged. */
  isKnown(credential: string): boolean {
    if (!credential.startsWith(prefix)) return this.#tokens.isKnown?.(credential) ?? false;
    return this.#known.has(hash("sha256", credential, "base64"));
  }

  /** @throws CREDENTIAL_REFUSED, UNAVAILABLE */
  verify(credential: string): Promise<Caller> {
    if (!credential.startsWith(prefix)) return this.#tokens.verify(credential);
    const id = hash("sha256", credential, "base64");
    const known = this.#known.get(id);
    if (known && known.until > Date.now()) return known.caller;
    const caller = this.#exchange(credential).then((token) => this.#tokens.verify(token));
    if (this.#known.size >= mostRemembered) this.#known.delete(this.#known.keys().next().value ?? "");
    this.#known.set(id, { caller, until: Date.now() + rememberMs });
    caller.catch(() => this.#known.delete(id));
    return caller;
  }
}
