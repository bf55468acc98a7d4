// Tokens of a real issuer that is not ours: found by discovery, with its own words for roles, while it rotates its keys and is away.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { callerOf, toIssuer } from "#platform/authorization/issuers.ts";
import { TokenVerifier } from "#platform/authorization/token-verifier.ts";
import { issuersSchema } from "#platform/issuer-settings.ts";
import { Authority } from "#testing/certificates.ts";
import { newSigningKey, OidcIssuer } from "../../../../dev/oidc/oidc-issuer.ts";

const refused = { reasonName: "CREDENTIAL_REFUSED" };

describe("a real OpenID provider", () => {
  let issuer: OidcIssuer;
  let first: JWK;
  before(async () => {
    first = await newSigningKey("first");
    const groups = { shop: ["shop-agents", "shop-cooks", "admin"], ada: ["shop-agents"] };
    issuer = await OidcIssuer.start({ clients: { shop: {}, hasty: { seconds: 1 } }, groups }, [first]);
  });
  after(() => issuer[Symbol.asyncDispose]());

  const settings = (more = {}) =>
    issuersSchema.parse([
      {
        issuer: issuer.url,
        audience: "ordermesh",
        rolesClaim: "groups.names",
        roles: { "shop-agents": "agent" },
        ...more,
      },
    ]);
  const verifier = (more = {}) => new TokenVerifier(settings(more).map(toIssuer));

  test("is found by its name, and its words become our roles", async () => {
    const caller = await verifier().verify(await issuer.token("shop"));
    assert.deepEqual(caller, { subject: "shop", roles: new Set([Role.AGENT]), person: false });
  });

  test("may mean several of our roles by one word", async () => {
    const both = verifier({ roles: { "shop-agents": ["agent", "warehouse"] } });
    const { roles } = await both.verify(await issuer.token("shop"));
    assert.deepEqual(roles, new Set([Role.AGENT, Role.WAREHOUSE]));
  });

  test("gives whoever logs in an access token that is taken, and an ID token that is not", async () => {
    const { accessToken, idToken } = await issuer.logIn("ada");
    assert.deepEqual(await verifier().verify(accessToken), {
      subject: "ada",
      roles: new Set([Role.AGENT]),
      person: true,
    });
    await assert.rejects(verifier().verify(idToken), refused);
    // Also where the header cannot tell the two apart, and where somebody has made a program's name the audience.
    const lenient = verifier({ type: "JWT", audience: "app" });
    await assert.rejects(lenient.verify(idToken), refused);
    assert.equal((await verifier({ type: "JWT" }).verify(accessToken)).subject, "ada");
  });

  test("gives tokens that end", async (context) => {
    const text = await issuer.token("hasty");
    const known = verifier();
    await known.verify(text);
    context.mock.timers.enable({ apis: ["Date"], now: Date.now() + 10_000 });
    await assert.rejects(known.verify(text), { ...refused, metadata: { cause: "expired" } });
  });

  test("may sign by RS256 when that is said of it, and only then", async () => {
    issuer.signWith([await newSigningKey("rsa", "RS256")]);
    const text = await issuer.token("shop");
    await assert.rejects(verifier().verify(text), refused);
    assert.equal((await verifier({ algorithms: ["RS256"] }).verify(text)).subject, "shop");
    issuer.signWith([first]);
    const edwards = await issuer.token("shop");
    await assert.rejects(verifier({ algorithms: ["RS256"] }).verify(edwards), refused);
  });

  test("signs with a new key: its tokens are taken soon, and those of the old one until it is no longer shown", async (context) => {
    const known = verifier();
    await known.verify(await issuer.token("shop"));
    const old = await issuer.token("shop");
    const second = await newSigningKey("second");
    issuer.signWith([first, second]);
    const now = Date.now();
    context.mock.timers.enable({ apis: ["Date"], now: now + 6_000 });
    assert.equal((await known.verify(await issuer.token("shop"))).subject, "shop");
    assert.equal((await known.verify(old)).subject, "shop");
    issuer.signWith([second]);
    context.mock.timers.setTime(now + 6_000 + 61_000);
    await assert.rejects(known.verify(old), refused);
    issuer.signWith([first]);
  });

  test("is not taken for whom it does not speak to", async () => {
    await assert.rejects(verifier({ audience: "payroll" }).verify(await issuer.token("shop")), refused);
    await assert.rejects(verifier().verify(await issuer.token("shop", "payroll")), refused);
  });

  test("that says to be another one is not asked", async () => {
    const text = await issuer.token("shop");
    const liar = verifier({ issuer: issuer.url.replace("127.0.0.1", "localhost") });
    await assert.rejects(liar.verify(text), refused);
    issuer.signWith([first], "https://somebody-else.test");
    await assert.rejects(verifier().verify(text), { reasonName: "UNAVAILABLE" });
    issuer.signWith([first]);
  });

  /** While its answers are these. */
  async function stillProves(context: TestContext, answer: OidcIssuer["answer"]): Promise<void> {
    const known = verifier();
    await known.verify(await issuer.token("shop"));
    const [one, two] = [await issuer.token("shop"), await issuer.token("shop")];
    issuer.answer = answer;
    // The keys are older than they are used without being fetched again.
    context.mock.timers.enable({ apis: ["Date"], now: Date.now() + 120_000 });
    assert.equal((await known.verify(one)).subject, "shop");
    for (const stranger of [verifier(), verifier({ keys: `${issuer.url}/jwks` })]) {
      await assert.rejects(stranger.verify(two), { reasonName: "UNAVAILABLE", retryAfterMs: 1_000 });
    }
    issuer.answer = undefined;
    assert.equal((await known.verify(two)).subject, "shop");
  }

  test("is away: the keys that it showed last are good for what is new, and nobody else's", (context) =>
    stillProves(context, (_, response) => response.destroy()));

  test("is as good as away when a gateway says so, or a page is shown instead of keys", async (context) => {
    await stillProves(context, (_, response) => response.writeHead(503).end("down for a moment"));
    context.mock.timers.reset();
    await stillProves(context, (_, response) => response.writeHead(200).end("<html>"));
    context.mock.timers.reset();
    await stillProves(context, (_, response) => response.writeHead(200).end('{"keys": 7}'));
  });
});

describe("an issuer with an authority of its own, as a Kubernetes API server is", () => {
  let authority: Authority;
  let ca: string;
  before(async () => {
    authority = await Authority.create();
    ca = join(authority.folder, "ca.crt");
  });
  after(() => authority[Symbol.asyncDispose]());
  const account = "system:serviceaccount:shop:web";

  /** What an API server signs with, and what it shows. */
  async function apiServer() {
    const { privateKey, publicKey } = await generateKeyPair("RS256");
    const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: "accounts", alg: "RS256", use: "sig" }] };
    const files = await authority.issue("localhost");
    const tls = { cert: readFileSync(files.GRPC_TLS_CERT), key: readFileSync(files.GRPC_TLS_KEY) };
    const server = createServer(tls, ({ headers }, response) => {
      const isTaken = headers.accept?.includes("application/jwk-set+json");
      response.writeHead(isTaken ? 200 : 406, { "content-type": "application/jwk-set+json" }).end(JSON.stringify(keys));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `https://localhost:${(server.address() as AddressInfo).port}`;
    // A header without a type, as its tokens have it.
    const token = (audience: string) =>
      new SignJWT({ "kubernetes.io": { namespace: "shop", serviceaccount: { name: "web" } } })
        .setProtectedHeader({ alg: "RS256", kid: "accounts" })
        .setIssuer("https://kubernetes.default.svc")
        .setSubject(account)
        .setAudience([audience])
        .setIssuedAt()
        .setExpirationTime("10m")
        .sign(privateKey);
    return { url, token, [Symbol.dispose]: () => void server.close() };
  }

  const settings = (url: string, more = {}) =>
    issuersSchema.parse([
      {
        issuer: "https://kubernetes.default.svc",
        keys: `${url}/openid/v1/jwks`,
        audience: "ordermesh",
        type: "JWT",
        algorithms: ["RS256"],
        rolesClaim: "sub",
        roles: { [account]: ["agent", "warehouse"] },
        ...more,
      },
    ]);

  test("is known by it, and its tokens are for us alone", async () => {
    using server = await apiServer();
    const verifier = new TokenVerifier(settings(server.url, { ca }).map(toIssuer));
    const caller = await verifier.verify(await server.token("ordermesh"));
    assert.deepEqual(caller, { subject: account, roles: new Set([Role.AGENT, Role.WAREHOUSE]), person: false });
    await assert.rejects(verifier.verify(await server.token("https://kubernetes.default.svc")), refused);
  });

  test("is not asked without it, nor by another one", async () => {
    using server = await apiServer();
    await using other = await Authority.create();
    for (const more of [{}, { ca: join(other.folder, "ca.crt") }]) {
      const verifier = new TokenVerifier(settings(server.url, more).map(toIssuer));
      await assert.rejects(verifier.verify(await server.token("ordermesh")), { reasonName: "UNAVAILABLE" });
    }
  });

  test("is not begun with when the file holds no certificate, or there would be no TLS", () => {
    const [missing] = settings("https://127.0.0.1:1", { ca: "/nowhere/ca.crt" });
    assert.throws(() => missing && toIssuer(missing), {
      name: "ConfigError",
      message: /TOKEN_ISSUERS: \/nowhere\/ca.crt, the authority of https:\/\/kubernetes.default.svc, is no certificate/,
    });
    assert.throws(() => settings("http://127.0.0.1:1", { ca }), /is of use for https alone/);
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

  test("is called by no name of ours", () => {
    assert.throws(() => caller({ sub: "service:worker" }), { code: "ERR_JWT_CLAIM_VALIDATION_FAILED" });
  });

  test("has the roles of a claim whose name has dots, alone or on the way", () => {
    const rolesAt = (rolesClaim: string, claims: Record<string, unknown>) =>
      settings && callerOf({ ...settings, rolesClaim }, { sub: "x", ...claims }).roles;
    const agent = new Set([Role.AGENT]);
    assert.deepEqual(rolesAt("https://shop.example/roles", { "https://shop.example/roles": ["agent"] }), agent);
    const account = { "kubernetes.io": { serviceaccount: { name: "agent" } } };
    assert.deepEqual(rolesAt("kubernetes.io.serviceaccount.name", account), agent);
    assert.deepEqual(rolesAt("kubernetes.io.pod.name", account), new Set());
    assert.deepEqual(rolesAt("a.b.c", { a: { b: 7 }, "a.b": { c: "agent" } }), agent);
  });

  test("is a person where the token was given to a program for somebody else than itself", () => {
    const persons = [
      { sub: "ada", client_id: "console" },
      { sub: "ada", azp: "console" },
    ];
    for (const claims of persons) assert.equal(caller(claims)?.person, true, JSON.stringify(claims));
    const programs = [
      { sub: "shop", client_id: "shop" },
      { sub: "shop", azp: "shop" },
      { sub: "shop", client_id: "shop", azp: "console" },
      { sub: "ada" },
      { sub: "ada", client_id: 7 },
      { client_id: "console" },
    ];
    for (const claims of programs) assert.equal(caller(claims)?.person, false, JSON.stringify(claims));
    const sub = "system:serviceaccount:ordermesh:ordermesh-worker";
    assert.equal(caller({ sub, client_id: "console" })?.person, undefined);
  });

  test("has the roles of a text with blanks, and none by names that objects have by themselves", () => {
    assert.deepEqual(
      caller({ sub: "x", scope: "agent constructor finance" })?.roles,
      new Set([Role.AGENT, Role.FINANCE]),
    );
    assert.deepEqual(caller({ sub: "x", scope: { agent: true } })?.roles, new Set());
  });
});
