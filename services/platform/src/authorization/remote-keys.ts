import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from "jose";
import { z } from "zod";
import { type IssuerFetch, issuerFetch } from "./issuer-fetch.ts";

/** How long an issuer may take to answer, in milliseconds. */
const timeoutMs = 3_000;
/** How long keys are used before they are fetched again, and how soon after a fetch an unknown key is looked for; milliseconds. */
const freshMs = 60_000;
const cooldownMs = 5_000;

/** OpenID Connect Discovery 1.0, section 3, as far as it concerns us. */
const discovered = z.object({ issuer: z.string(), jwks_uri: z.url() });

/** Where an issuer has its keys, by what it says of itself. @throws Error when it does not answer, or is another one */
async function discover(issuer: string, ask: IssuerFetch): Promise<URL> {
  const at = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const response = await ask(at, { signal: AbortSignal.timeout(timeoutMs) });
  if (!response.ok) throw new Error(`${at} answers ${response.status}`);
  // biome-ignore lint/plugin/json: of an issuer whose word is taken, within the time that it has
  const said = discovered.parse(await response.json());
  // Section 4.3: another name would let one issuer answer for another.
  if (said.issuer !== issuer) throw new Error(`${at} is of another issuer: ${said.issuer}`);
  return new URL(said.jwks_uri);
}

/** Where an issuer has its keys, and by what its certificate is known. */
interface KeyPlace {
  readonly keysUrl?: URL;
  readonly ca?: string | undefined;
}

/** Whether it is the issuer that went wrong, and not the token: jose calls so too what a gateway answers before an issuer that is down. */
function isAway(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return true;
  const isAnswer = error.code === errors.JOSEError.code || error instanceof errors.JWKSInvalid;
  return isAnswer || error instanceof errors.JWKSTimeout;
}

/**
 * The keys of an issuer over HTTP. They are fetched when they are first needed, again after a minute, and when a token names one that is not
 * known, but not more often than every five seconds, so that nobody can have us flood the issuer. When it is away, the last ones
 * that it showed are used.
 *
 * @param place `keysUrl`: where they are, discovered when it is not given; `ca`: see {@link issuerFetch}
 * @throws ConfigError when there is no certificate in `ca`
 */
export function remoteKeys(issuer: string, { keysUrl, ca }: KeyPlace = {}): JWTVerifyGetKey {
  const ask = issuerFetch(issuer, ca);
  let finding: Promise<ReturnType<typeof createRemoteJWKSet>> | undefined;
  let lastGood: JWTVerifyGetKey | undefined;
  const find = async () => {
    const options = { timeoutDuration: timeoutMs, cacheMaxAge: freshMs, cooldownDuration: cooldownMs };
    return createRemoteJWKSet(keysUrl ?? (await discover(issuer, ask)), { ...options, [customFetch]: ask });
  };
  return async (header, token) => {
    finding ??= find();
    const remote = await finding.catch((error: unknown) => {
      // Looked for again with the next token.
      finding = undefined;
      throw error;
    });
    try {
      const key = await remote(header, token);
      const shown = remote.jwks();
      if (shown) lastGood = createLocalJWKSet(shown);
      return key;
    } catch (error) {
      if (!isAway(error)) throw error;
      if (lastGood) return lastGood(header, token);
      throw new Error(`${issuer} shows no keys`, { cause: error });
    }
  };
}
