import { createLocalJWKSet, importJWK, type JWK, SignJWT } from "jose";
import { serviceCaller } from "#platform/caller.ts";
import { newId } from "#platform/id.ts";
import type { Secret } from "#platform/secret.ts";
import { type Issuer, rolesOf } from "./token-verifier.ts";

/** Whom tokens of services are for: every service of the mesh. */
const audience = "ordermesh";
/** How long such a token is valid, and how long before its end there is the next; milliseconds. */
const ttlMs = 300_000;
const renewEveryMs = 120_000;
const algorithm = "EdDSA";

function nameOf(service: string): string {
  return `service:${service}`;
}

/** A public half. */
interface ServiceKey extends JWK {
  readonly roles?: readonly string[] | undefined;
}

/** Where it is said that a key cannot be used. */
interface FaultLog {
  error(message: string, fields: { err: unknown }): void;
}

/**
 * What a service shows to others: tokens that it signs itself, so that no call between services waits for anybody else. There is one at
 * every moment, made beforehand.
 */
export class ServiceTokens implements Disposable {
  readonly #service: string;
  readonly #key: Pick<Secret, "text">;
  readonly #timer: NodeJS.Timeout;
  #token = "";

  private constructor(service: string, key: Pick<Secret, "text">, logger: FaultLog) {
    this.#service = service;
    this.#key = key;
    // A key that was swapped for one that signs nothing must end no process: the token before is good for a while yet.
    const keep = (err: unknown) =>
      logger.error("SERVICE_KEY signs nothing: the token before is shown to its end", { err });
    this.#timer = setInterval(() => void this.#renew().catch(keep), renewEveryMs);
    this.#timer.unref();
  }

  /** @param key the private half, as the text of a JWK; looked at anew for each token */
  static async open(service: string, key: Pick<Secret, "text">, logger: FaultLog): Promise<ServiceTokens> {
    const tokens = new ServiceTokens(service, key, logger);
    await tokens.#renew();
    return tokens;
  }

  /** As the header `authorization` has it. */
  get authorization(): string {
    return `Bearer ${this.#token}`;
  }

  async #renew(): Promise<void> {
    const name = nameOf(this.#service);
    const now = Math.floor(Date.now() / 1000);
    this.#token = await new SignJWT({ client_id: name })
      .setProtectedHeader({ alg: algorithm, typ: "at+jwt", kid: this.#service })
      .setIssuer(name)
      .setSubject(name)
      .setAudience(audience)
      .setIssuedAt(now)
      .setExpirationTime(now + ttlMs / 1000)
      .setJti(newId())
      // biome-ignore lint/plugin/json: the service's own key, from its settings
      .sign(await importJWK(JSON.parse(this.#key.text) as JWK, algorithm));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/**
 * The services as issuers: each may speak for itself alone. What has roles is a program that is no service.
 *
 * @param keys their public halves, each with the service's name as its id
 */
export function serviceIssuers({ keys }: { readonly keys: readonly ServiceKey[] }): Issuer[] {
  const names = new Set(keys.flatMap(({ kid }) => kid ?? []));
  return [...names].map((name) => {
    // Who rotates its key has two of its name for a while.
    const own = keys.filter(({ kid }) => kid === name);
    const roles = own[0]?.roles;
    const caller = roles ? { subject: nameOf(name), roles: rolesOf(roles) } : serviceCaller(name);
    return { issuer: nameOf(name), audience, keys: createLocalJWKSet({ keys: own }), callerOf: () => caller };
  });
}
