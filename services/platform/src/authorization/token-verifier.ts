import { hash } from "node:crypto";
import { decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { type Role, RoleSchema } from "#gen/shop/type/v1/access_pb.js";
import type { Caller, Credentials } from "#platform/caller.ts";
import { credentialRefused, issuerAway } from "./errors.ts";

/** Somebody whose access tokens are taken. */
export interface Issuer {
  /** As tokens name it (`iss`), exactly. */
  readonly issuer: string;
  /** Whom tokens have to be for (`aud`): us. */
  readonly audience: string;
  /** Its public keys, by what a token's header says. */
  readonly keys: JWTVerifyGetKey;
  /** What its tokens say to be; `at+jwt` unless given. With `JWT` they may lack what only RFC 9068 wants, and the type as well. */
  readonly type?: "at+jwt" | "JWT";
  /** What they may be signed by; {@link usualAlgorithms} unless given. */
  readonly algorithms?: readonly string[];
  /** Who shows a token with these claims. */
  readonly callerOf: (claims: JWTPayload) => Caller;
}

/** Signatures that are taken; the first two names are the same one, of before and after RFC 9864. */
const usualAlgorithms = ["EdDSA", "Ed25519", "ES256"];
const requiredClaims = { "at+jwt": ["sub", "exp", "iat", "jti"], JWT: ["sub", "exp", "iat"] } as const;
/** What ID tokens have of the login that they come from: OpenID Connect Core 1.0, sections 2 and 3.3.2.11. */
const idTokenClaims = ["nonce", "at_hash", "c_hash", "s_hash"];
/** How far clocks may differ, in seconds. */
const clockToleranceSeconds = 5;
/** How long a token that was verified is not verified again, in milliseconds, and how many of them are remembered. */
const rememberMs = 60_000;
const mostRemembered = 10_000;

/** By their names in small letters: `admin`. */
const roles = new Map<unknown, Role>(
  RoleSchema.values.map(({ localName, number }) => [localName.toLowerCase(), number]),
);

/** The roles of a list of names; one that is not known gives nothing. */
export function rolesOf(names: unknown): ReadonlySet<Role> {
  return new Set(Array.isArray(names) ? names.flatMap((name) => roles.get(name) || []) : []);
}

/** RFC 9068, section 2.2, wants `client_id`; Keycloak and Auth0 say `azp` for the same. */
function clientOf({ client_id: client, azp }: JWTPayload): string | undefined {
  const named = client ?? azp;
  return typeof named === "string" ? named : undefined;
}

function requireClient(payload: JWTPayload): void {
  if (clientOf(payload) !== undefined) return;
  throw new errors.JWTClaimValidationFailed("no client_id and no azp", payload, "client_id", "missing");
}

/**
 * Refuses what else an issuer signs with the same keys, where the header does not tell. Tokens of Kubernetes have no type at all; those of
 * Keycloak say in a claim what they are.
 */
function requireAccessToken(type: string | undefined, payload: JWTPayload): void {
  const isTyped = type === undefined || /^(?:application\/)?(?:at\+)?jwt$/i.test(type);
  const { typ: use } = payload;
  const isForCalls = use === undefined ? !idTokenClaims.some((name) => Object.hasOwn(payload, name)) : use === "Bearer";
  if (isTyped && isForCalls) return;
  throw new errors.JWTClaimValidationFailed("not an access token", payload, "typ", "check_failed");
}

/** What is wrong with a token, for the log of whoever has to mend it: in words of ours and names of claims, with nothing of the token. */
function judgementOf(error: unknown): Error {
  if (error instanceof errors.JWTClaimValidationFailed) return new Error(error.message);
  if (error instanceof errors.JWKSNoMatchingKey) return new Error("signed by a key that its issuer does not show");
  if (error instanceof errors.JOSEAlgNotAllowed) return new Error("signed by an algorithm that its issuer may not use");
  return new Error(error instanceof errors.JWSSignatureVerificationFailed ? "signed by somebody else" : "no token");
}

/**
 * Whether a token was given to somebody who logged in. The subject of one that a program got for itself is that program (RFC 9068, section
 * 2.2); one that names no program says neither, and is taken for a program's.
 */
export function isPersons(payload: JWTPayload): boolean {
  const client = clientOf(payload);
  return client !== undefined && payload.sub !== undefined && client !== payload.sub;
}

interface Remembered {
  readonly caller: Caller;
  readonly until: number;
}

/** Takes access tokens as RFC 9068 has them, from a few issuers. */
export class TokenVerifier implements Credentials {
  readonly #issuers: ReadonlyMap<string, Issuer>;
  /** By the hash of the token, the oldest first. */
  readonly #remembered = new Map<string, Remembered>();

  constructor(issuers: readonly Issuer[]) {
    this.#issuers = new Map(issuers.map((issuer) => [issuer.issuer, issuer]));
  }

  /** @throws CREDENTIAL_REFUSED; UNAVAILABLE when the issuer's keys cannot be had */
  async verify(token: string): Promise<Caller> {
    const known = this.known(token);
    if (known) return known;
    const { caller, expires } = await this.#judge(token);
    this.#remember(hash("sha256", token, "base64"), { caller, until: Math.min(Date.now() + rememberMs, expires) });
    return caller;
  }

  known(token: string): Caller | undefined {
    const remembered = this.#remembered.get(hash("sha256", token, "base64"));
    return remembered && remembered.until > Date.now() ? remembered.caller : undefined;
  }

  isKnown(token: string): boolean {
    return this.#remembered.has(hash("sha256", token, "base64"));
  }

  /** Forgets what was verified: keys were taken away. */
  forget(): void {
    this.#remembered.clear();
  }

  async #judge(token: string): Promise<{ caller: Caller; expires: number }> {
    const issuer = this.#issuerOf(token);
    const { type: typ = "at+jwt", algorithms = usualAlgorithms } = issuer;
    try {
      const { payload, protectedHeader } = await jwtVerify(token, issuer.keys, {
        issuer: issuer.issuer,
        audience: issuer.audience,
        ...(typ === "at+jwt" && { typ }),
        algorithms: [...algorithms],
        requiredClaims: [...requiredClaims[typ]],
        clockTolerance: clockToleranceSeconds,
      });
      if (typ === "at+jwt") requireClient(payload);
      else requireAccessToken(protectedHeader.typ, payload);
      return { caller: issuer.callerOf(payload), expires: (payload.exp ?? 0) * 1000 };
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw credentialRefused("expired", error);
      // What is not jose's own, and its timeouts, are of the way to the keys.
      const isJudgement = error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout);
      throw isJudgement ? credentialRefused("invalid", judgementOf(error)) : issuerAway(error);
    }
  }

  /** By what the token says of itself; that it says so truly is verified with that issuer's keys. */
  #issuerOf(token: string): Issuer {
    try {
      const issuer = this.#issuers.get(decodeJwt(token).iss ?? "");
      if (issuer) return issuer;
    } catch {
      throw credentialRefused("invalid", new Error("no token"));
    }
    throw credentialRefused("invalid", new Error("of an issuer that nobody named"));
  }

  #remember(key: string, remembered: Remembered): void {
    if (this.#remembered.size >= mostRemembered) {
      const [oldest] = this.#remembered.keys();
      if (oldest !== undefined) this.#remembered.delete(oldest);
    }
    this.#remembered.set(key, remembered);
  }
}
