// Tokens of a real issuer that is not ours: found by discovery, with its own words for roles, while it rotates its keys and is away.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { Provider } from "oidc-provider";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { callerOf, toIssuer } from "#platform/authorization/issuers.ts";
import { TokenVerifier } from "#platform/authorization/token-verifier.ts";
import { issuersSchema } from "#platform/issuer-settings.ts";

const resource = "urn:ordermesh";

type Algorithm = "EdDSA" | "RS256";

async function newKey(kid: string, alg: Algorithm = "EdDSA"): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg, use: "sig" };
}

/** An OpenID provider as other companies run it, with one client that has some words for what it may do. */
function providerAt(issuer: string, keys: JWK[], alg: Algorithm = "EdDSA"): Provider {
  return new Provider(issuer, {
    clients: [
      {
        client_id: "shop",
        client_secret: "a secret of the shop",
        id_token_signed_response_alg: alg,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
    ],
    jwks: { keys: keys as never },
    extraTokenClaims: () => ({ groups: { names: ["shop-agents", "shop-cooks", "admin"] } }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: "orders",
          audience: "ordermesh",
          accessTokenFormat: "jwt",
          jwt: { sign: { alg } },
        }),
      },
    },
  });
}

describe("a real OpenID provider", () => {
  let server: Server;
  let issuer: string;
  let provider: Provider;
  let first: JWK;
  before(async () => {
    first = await newKey("first");
    server = createServer((request, response) => provider.callback()(request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    provider = providerAt(issuer, [first]);
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const settings = (more = {}) =>
    issuersSchema.parse([
      { issuer, audience: "ordermesh", rolesClaim: "groups.names", roles: { "shop-agents": "agent" }, ...more },
    ]);
  const verifier = (more = {}) => new TokenVerifier(settings(more).map(toIssuer));

  async function token(): Promise<string> {
    const response = await fetch(`${issuer}/token`, {
      method: "POST",
      headers: {
        authorization: `Basic ${Buffer.from("shop:a%20secret%20of%20the%20shop").toString("base64")}`,
        "content-type": "application/x-www-form-urlencoded",
      },
      body: "grant_type=client_credentials",
    });
    const answer = (await response.json()) as { access_token?: string };
    const { access_token: text } = answer;
    assert.ok(text, JSON.stringify(answer));
    return text;
  }

  test("is found by its name, and its words become our roles", async () => {
    assert.deepEqual(await verifier().verify(await token()), { subject: "shop", roles: new Set([Role.AGENT]) });
  });

  test("may sign by RS256 when that is said of it, and only then", async () => {
    const before = provider;
    provider = providerAt(issuer, [await newKey("rsa", "RS256")], "RS256");
    const text = await token();
    await assert.rejects(verifier().verify(text), { reasonName: "CREDENTIAL_REFUSED" });
    assert.equal((await verifier({ algorithms: ["RS256"] }).verify(text)).subject, "shop");
    provider = before;
    const edwards = await token();
    await assert.rejects(verifier({ algorithms: ["RS256"] }).verify(edwards), { reasonName: "CREDENTIAL_REFUSED" });
  });

  test("is not taken for whom it does not speak to", async () => {
    const refused = { reasonName: "CREDENTIAL_REFUSED" };
    await assert.rejects(verifier({ audience: "payroll" }).verify(await token()), refused);
  });

  test("that says to be another one is not asked", async () => {
    const liar = verifier({ issuer: issuer.replace("127.0.0.1", "localhost") });
    const text = await token();
    await assert.rejects(liar.verify(text), { reasonName: "CREDENTIAL_REFUSED" });
    const other = providerAt("https://somebody-else.test", [first]);
    const before = provider;
    provider = other;
    await assert.rejects(verifier().verify(text), { reasonName: "UNAVAILABLE" });
    provider = before;
  });

  test("is away: the keys that it showed last are good for what is new, and nobody else's", async (context) => {
    const known = verifier();
    await known.verify(await token());
    const [one, two] = [await token(), await token()];
    const before = provider;
    provider = { callback: () => (_: unknown, response: { destroy(): void }) => response.destroy() } as never;
    // The keys are older than they are used without being fetched again.
    context.mock.timers.enable({ apis: ["Date"], now: Date.now() + 120_000 });
    assert.equal((await known.verify(one)).subject, "shop");
    await assert.rejects(verifier().verify(two), { reasonName: "UNAVAILABLE", retryAfterMs: 1_000 });
    provider = before;
    assert.equal((await known.verify(two)).subject, "shop");
  });
});

describe("who shows a token of another issuer", () => {
  const [settings] = issuersSchema.parse([
    {
      issuer: "https://kubernetes.test",
      audience: "ordermesh",
      type: "JWT",
      rolesClaim: "scope",
      services: { "system:serviceaccount:ordermesh:ordermesh-worker": "worker" },
    },
  ]);
  const caller = (claims: Record<string, unknown>) => settings && callerOf(settings, claims);

  test("is a service of ours, by its service account, and has no roles by that", () => {
    const sub = "system:serviceaccount:ordermesh:ordermesh-worker";
    assert.deepEqual(caller({ sub, scope: "admin" }), {
      subject: "service:worker",
      roles: new Set(),
      service: "worker",
    });
    assert.equal(caller({ sub: `${sub}2` })?.service, undefined);
    assert.equal(caller({ sub: "__proto__" })?.service, undefined);
  });

  test("has the roles of a text with blanks, and none by names that objects have by themselves", () => {
    assert.deepEqual(
      caller({ sub: "x", scope: "agent constructor finance" })?.roles,
      new Set([Role.AGENT, Role.FINANCE]),
    );
    assert.deepEqual(caller({ sub: "x", scope: { agent: true } })?.roles, new Set());
  });
});
