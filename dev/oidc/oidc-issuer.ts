import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { type ClientMetadata, type KoaContextWithOIDC, Provider } from "oidc-provider";

/** What a provider of ours is asked for when nothing else is, and whom its tokens are for. */
const resource = "urn:ordermesh";
const secret = "a secret of the program";
/** The program in which people log in; it has no secret. */
const app = "app";
const appUrl = "http://127.0.0.1/back";
/** How many redirects a login may take. */
const mostRedirects = 10;

export type SigningAlgorithm = "EdDSA" | "ES256" | "RS256";

/** What a provider is begun with. */
export interface OidcSettings {
  /** Where it listens; this machine alone when left out. */
  readonly host?: string;
  readonly port?: number;
  /** Its programs, which have one secret, and for how many seconds their tokens are good; 600 unless given. */
  readonly clients: Readonly<Record<string, { readonly seconds?: number }>>;
  /** What is said of a program or a person in the claim `groups.names`. */
  readonly groups: Readonly<Record<string, readonly string[]>>;
}

/** A key to sign with. */
export async function newSigningKey(kid: string, alg: SigningAlgorithm = "EdDSA"): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg, use: "sig" };
}

/**
 * An OpenID provider as other companies run it: `oidc-provider`, which is certified, in this process. Its programs get access tokens as RFC 9068
 * has them; people log in by the authorization code flow, and get an ID token besides.
 */
export class OidcIssuer implements AsyncDisposable {
  /** How it calls itself, and where it is. */
  readonly url: string;
  /** What it answers when it is not itself: as a gateway does before a provider that is down, or whatever a test wants. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  readonly #server: Server;
  readonly #settings: OidcSettings;
  #provider: Provider | undefined;

  private constructor(server: Server, settings: OidcSettings) {
    this.#server = server;
    this.#settings = settings;
    const { address, port } = server.address() as AddressInfo;
    this.url = `http://${address}:${port}`;
    server.on("request", (request, response) => this.#serve(request, response));
  }

  /** Begins one that signs with the last of these keys, and shows all of them. */
  static async start(settings: OidcSettings, keys: readonly JWK[]): Promise<OidcIssuer> {
    const server = createServer();
    server.listen(settings.port ?? 0, settings.host ?? "127.0.0.1");
    await once(server, "listening");
    const issuer = new OidcIssuer(server, settings);
    issuer.signWith(keys);
    return issuer;
  }

  /** Signs with the last of these keys from now on, shows all of them, and calls itself so. What it gave before stays as it is. */
  signWith(keys: readonly JWK[], name = this.url): void {
    // It takes the first that fits.
    this.#provider = providerOf(name, keys.toReversed(), this.#settings);
  }

  /** An access token for a program. @param audience whom it is for */
  async token(client: string, audience = "ordermesh"): Promise<string> {
    const grant = { grant_type: "client_credentials", resource: `urn:${audience}` };
    const { access_token: token } = await this.#ask(grant, {
      authorization: `Basic ${Buffer.from(`${client}:${encodeURIComponent(secret)}`).toString("base64")}`,
    });
    return token;
  }

  /** Has a person log in as a browser does. */
  async logIn(person: string): Promise<{ readonly accessToken: string; readonly idToken: string }> {
    const verifier = randomBytes(32).toString("base64url");
    const asked = new URLSearchParams({
      client_id: app,
      redirect_uri: appUrl,
      response_type: "code",
      scope: "openid",
      login_hint: person,
      nonce: randomBytes(16).toString("hex"),
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
    });
    const code = await this.#follow(`${this.url}/auth?${asked}`);
    const grant = { grant_type: "authorization_code", client_id: app, redirect_uri: appUrl, code };
    const { access_token: accessToken, id_token: idToken = "" } = await this.#ask({
      ...grant,
      code_verifier: verifier,
    });
    return { accessToken, idToken };
  }

  /** Follows a login from page to page, with cookies, until it comes back with a code. */
  async #follow(start: string): Promise<string> {
    const cookies = new Map<string, string>();
    let at = start;
    for (let step = 0; step < mostRedirects; step += 1) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
      const response = await fetch(at, { headers: { cookie }, redirect: "manual" });
      const [body, next] = [await response.text(), response.headers.get("location")];
      for (const set of response.headers.getSetCookie()) {
        const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
        cookies.set(name, value);
      }
      if (!next) throw new Error(`the login ended at ${at} with ${response.status}: ${body}`);
      at = new URL(next, at).href;
      const code = at.startsWith(appUrl) ? new URL(at).searchParams.get("code") : undefined;
      if (code === null) throw new Error(`the login was refused: ${at}`);
      if (code !== undefined) return code;
    }
    throw new Error(`the login leads nowhere: ${at}`);
  }

  async #ask(grant: Record<string, string>, headers: Record<string, string> = {}): Promise<Tokens> {
    const response = await fetch(`${this.url}/token`, { method: "POST", headers, body: new URLSearchParams(grant) });
    const answer = (await response.json()) as Tokens;
    if (!response.ok) throw new Error(`the provider gives no token: ${JSON.stringify(answer)}`);
    return answer;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const provider = this.#provider;
    if (this.answer || !provider) this.answer?.(request, response);
    else if (request.url?.startsWith("/interaction/")) {
      void finishLogin(provider, request, response).catch((error: Error) => response.destroy(error));
    } else void provider.callback()(request, response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

interface Tokens {
  readonly access_token: string;
  readonly id_token?: string;
}

/** Whoever comes is the person that the program has named, and has nothing against it. */
async function finishLogin(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { params } = await provider.interactionDetails(request, response);
  const login = { accountId: String(params.login_hint) };
  await provider.interactionFinished(request, response, { login, consent: {} });
}

function providerOf(name: string, keys: readonly JWK[], { clients, groups }: OidcSettings): Provider {
  const alg = keys[0]?.alg as SigningAlgorithm;
  const forLong = { AccessToken: 600, IdToken: 600, Interaction: 600, Grant: 600, Session: 600 };
  return new Provider(name, {
    clients: clientsOf(Object.keys(clients), alg),
    jwks: { keys: keys as never },
    cookies: { keys: [randomBytes(16).toString("hex")] },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    loadExistingGrant,
    ttl: { ...forLong, ClientCredentials: (_, token) => clients[token.clientId ?? ""]?.seconds ?? 600 },
    extraTokenClaims: (_, token) => {
      const holder = ("accountId" in token ? token.accountId : token.clientId) ?? "";
      return { groups: { names: groups[holder] ?? [] } };
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, indicator) => ({
          scope: "orders",
          audience: indicator.replace("urn:", ""),
          accessTokenFormat: "jwt",
          jwt: { sign: { alg } },
        }),
      },
    },
  });
}

function clientsOf(programs: readonly string[], alg: SigningAlgorithm): ClientMetadata[] {
  const program = (id: string): ClientMetadata => ({
    client_id: id,
    client_secret: secret,
    id_token_signed_response_alg: alg,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
  });
  const forPeople: ClientMetadata = {
    client_id: app,
    application_type: "native",
    token_endpoint_auth_method: "none",
    id_token_signed_response_alg: alg,
    redirect_uris: [appUrl],
  };
  return [...programs.map(program), forPeople];
}

/** Nobody is asked whether the program may. */
async function loadExistingGrant({ oidc }: KoaContextWithOIDC) {
  const { account, client } = oidc;
  const grant = new oidc.provider.Grant({ accountId: account?.accountId, clientId: client?.clientId });
  grant.addOIDCScope("openid");
  grant.addResourceScope(resource, "orders");
  await grant.save();
  return grant;
}
