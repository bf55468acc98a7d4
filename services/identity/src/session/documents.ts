import { toConnectError } from "#platform/errors.ts";
import type { Handler } from "#platform/http/rpc.ts";
import type { KeyRing } from "./key-ring.ts";

/** Where readers of access tokens find out about them: RFC 8615. */
const folder = ".well-known";
const keysPath = `/${folder}/jwks.json`;
/** How long who has read one need not ask again, in seconds. */
const freshSeconds = 60;

/** Documents in JSON that anybody may read, by path; each is made when it is asked for. */
type Documents = ReadonlyMap<string, () => Promise<unknown>>;

/** What readers of access tokens have to know: OpenID Connect Discovery 1.0, section 3, and RFC 8414, as far as there is anything to say. */
export function tokenPages(issuer: string, keys: KeyRing): Readonly<Record<string, Handler>> {
  const about = async () => ({
    issuer,
    jwks_uri: `${issuer.replace(/\/$/, "")}${keysPath}`,
    response_types_supported: [],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["EdDSA"],
  });
  const documents: Documents = new Map<string, () => Promise<unknown>>([
    [keysPath, () => keys.published()],
    [`/${folder}/openid-configuration`, about],
    [`/${folder}/oauth-authorization-server`, about],
  ]);
  return { [folder]: (request, response) => answer(documents, { request, response }) };
}

interface Exchange {
  readonly request: Parameters<Handler>[0];
  readonly response: Parameters<Handler>[1];
}

function answer(documents: Documents, { request, response }: Exchange): void {
  const read = documents.get(request.url?.split("?", 1)[0] ?? "");
  if (!read) {
    response.writeHead(404).end();
    return;
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return;
  }
  read().then(
    (document) => {
      const headers = { "content-type": "application/json", "cache-control": `public, max-age=${freshSeconds}` };
      response.writeHead(200, headers).end(JSON.stringify(document));
    },
    (error: unknown) => {
      const headers = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };
      response.writeHead(503, headers).end(`${toConnectError(error).rawMessage}\n`);
    },
  );
}
