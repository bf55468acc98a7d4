import { X509Certificate } from "node:crypto";
// biome-ignore lint/plugin/files: files that the settings name
import { readFileSync } from "node:fs";
// biome-ignore lint/plugin/files: the same
import { readFile } from "node:fs/promises";
import { get } from "node:https";
import { text } from "node:stream/consumers";
import { ConfigError } from "#platform/config.ts";

/** How an issuer is asked: what `fetch` takes of it. */
export type IssuerFetch = (url: string, options: { readonly signal: AbortSignal }) => Promise<Response>;

/** An API server shows its keys as what they are, and answers 406 to whoever takes any JSON but that: RFC 7517, section 8.5.2. */
const headers = { accept: "application/json, application/jwk-set+json" };

/** By public authorities. Whoever is sent elsewhere by a redirect is not followed. */
const publicly: IssuerFetch = (url, { signal }) => fetch(url, { signal, headers, redirect: "error" });

/**
 * Asks an issuer whose certificate is of an authority of its own, such as that of a Kubernetes API server; `fetch` knows only those of the whole
 * process. The file is read anew each time, so one that is swapped counts without a restart.
 */
function privately(ca: string): IssuerFetch {
  return async (url, { signal }) => {
    const options = { ca: await readFile(ca), signal, headers };
    return new Promise((resolve, reject) => {
      const answered = get(url, options, (answer) => {
        const status = answer.statusCode ?? 502;
        text(answer)
          .then((body) => new Response(body === "" ? null : body, { status }))
          .then(resolve, reject);
      });
      answered.once("error", reject);
    });
  };
}

/**
 * @param ca a file with the authority by which alone the issuer's certificate is known, as PEM; public ones when it is not given
 * @throws ConfigError when there is no certificate in it
 */
export function issuerFetch(issuer: string, ca: string | undefined): IssuerFetch {
  if (ca === undefined) return publicly;
  try {
    new X509Certificate(readFileSync(ca));
  } catch (error) {
    throw new ConfigError(
      `TOKEN_ISSUERS: ${ca}, the authority of ${issuer}, is no certificate: ${(error as Error).message}`,
    );
  }
  return privately(ca);
}
