import { importJWK, type JWTPayload, SignJWT } from "jose";
import { isPersons, rolesOf } from "#platform/authorization/token-verifier.ts";
import type { Caller } from "#platform/caller.ts";
import { newId } from "#platform/id.ts";
import type { KeyRing } from "./key-ring.ts";

/** Who is to be given an access token. */
export interface Bearer {
  readonly subject: string;
  readonly roles: readonly string[];
  /** The session that it is given for; undefined for a program's key. */
  readonly sessionId?: string;
  /** How the session's person has proved to be it, as RFC 8176 names it (`amr`); left out for a program's key. */
  readonly methods?: readonly string[];
  /** When it ends at the latest; undefined when nothing ends it earlier. */
  readonly until?: Date;
}

/** A token with its end. */
export interface AccessToken {
  readonly text: string;
  readonly expireTime: Date;
}

/** Whose tokens they are, for whom, and for how long, in milliseconds. */
export interface AccessTokenOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly ttlMs: number;
}

/** Gives access tokens as RFC 9068 has them. */
export class AccessTokens {
  readonly #keys: KeyRing;
  readonly #options: AccessTokenOptions;

  constructor(keys: KeyRing, options: AccessTokenOptions) {
    this.#keys = keys;
    this.#options = options;
  }

  /** A new token. */
  async give({ subject, roles, sessionId, methods, until }: Bearer): Promise<AccessToken> {
    const { issuer, audience, ttlMs } = this.#options;
    const key = await this.#keys.current();
    const now = Date.now();
    const end = Math.min(now + ttlMs, until?.getTime() ?? Number.POSITIVE_INFINITY);
    const expires = Math.floor(end / 1000);
    // Nothing is asked of the program that a person logs in with: it is the same one for all.
    const clientId = sessionId === undefined ? subject : "ordermesh";
    const claims = {
      client_id: clientId,
      roles,
      ...(sessionId && { sid: sessionId }),
      ...(methods && { amr: methods }),
    };
    const text = await new SignJWT(claims)
      .setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid: key.keyId })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(subject)
      .setIssuedAt(Math.floor(now / 1000))
      .setExpirationTime(expires)
      .setJti(newId())
      .sign(await importJWK(key.privateKey, "EdDSA"));
    return { text, expireTime: new Date(expires * 1000) };
  }
}

/** Who shows a token of ours. */
export function callerOf(claims: JWTPayload): Caller {
  const { sub: subject = "", sid } = claims;
  const session = typeof sid === "string" ? sid : undefined;
  return { subject, roles: rolesOf(claims.roles), session, person: isPersons(claims) };
}
