import { credentialRefused } from "#platform/authorization/errors.ts";
import type { TokenVerifier } from "#platform/authorization/token-verifier.ts";
import { rolesOf } from "#platform/authorization/token-verifier.ts";
import type { Caller, Credentials } from "#platform/caller.ts";
import type { ApiKeyRepository } from "../key/api-key.repository.ts";
import { IdentityError } from "../proof/errors.ts";
import { apiKeyPrefix } from "../proof/secret-text.ts";

/** What callers of the identity service show: an access token of its own, or an API key as it is. */
export class OwnCredentials implements Credentials {
  readonly #tokens: TokenVerifier;
  readonly #keys: ApiKeyRepository;

  constructor(tokens: TokenVerifier, keys: ApiKeyRepository) {
    this.#tokens = tokens;
    this.#keys = keys;
  }

  /** @throws CREDENTIAL_REFUSED */
  verify(credential: string): Promise<Caller> {
    return credential.startsWith(apiKeyPrefix) ? this.#holderOf(credential) : this.#tokens.verify(credential);
  }

  /** Keys are looked up each time. */
  isKnown(credential: string): boolean {
    return this.#tokens.isKnown(credential);
  }

  async #holderOf(key: string): Promise<Caller> {
    try {
      const { subject, roles } = await this.#keys.holderOf(key);
      return { subject, roles: rolesOf(roles) };
    } catch (error) {
      throw error instanceof IdentityError ? credentialRefused("invalid", error) : error;
    }
  }
}
