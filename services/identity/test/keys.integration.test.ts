// What programs show, what admins do, and the keys that sign.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify, SignJWT } from "jose";
import pg from "pg";
import { AuditService } from "#gen/shop/audit/v1/audit_service_pb.js";
import { IdentityAdminService } from "#gen/shop/identity/v1/identity_admin_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { type SigningKey, SigningKeyRepository } from "../src/session/signing-key.repository.ts";
import { bootstrapKey, identityDatabase, issuer, Replica, reasonOf } from "./harness.ts";

let database: TestDatabase;
let replica: Replica;
before(async () => {
  database = await identityDatabase();
  replica = await Replica.on(database.database);
});
after(async () => {
  replica?.[Symbol.dispose]();
  await database?.[Symbol.asyncDispose]();
});

const query = (sql: string, ...values: unknown[]) => database.database.query(sql, values);

/** The keys that sign are of another time: what the service itself may not do. */
async function asOwner(sql: string, ...values: unknown[]): Promise<void> {
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  await client.query(sql, values);
  await client.end();
}

async function document(path: string, of = replica): Promise<Record<string, unknown>> {
  const handler = of.parts.pages?.[".well-known"];
  const server = createServer((request, response) => handler?.(request, response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { port } = server.address() as AddressInfo;
    return (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()) as Record<string, unknown>;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function keySet(of = replica): Promise<JSONWebKeySet> {
  return (await document("/.well-known/jwks.json", of)) as unknown as JSONWebKeySet;
}

const claims = { issuer, audience: "ordermesh", typ: "at+jwt", algorithms: ["EdDSA"] };

/** An access token of a new key with these roles. */
async function accessToken(name: string, ...roles: Role[]): Promise<string> {
  const { secret } = await replica.admin().createApiKey({ name, roles });
  return (await replica.people.exchangeApiKey({ apiKey: secret })).accessToken;
}

describe("a key of a program", () => {
  it("is shown once, is exchanged for a token with its roles, and its use is noted", async () => {
    const lifetime = { seconds: 120n, nanos: 0 };
    const made = await replica.admin().createApiKey({ name: "shop", roles: [Role.AGENT], lifetime });
    assert.match(made.secret, /^ordermesh_key_[\w-]{43}$/);
    const { accessToken: token } = await replica.people.exchangeApiKey({ apiKey: made.secret });
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(await keySet()), claims);
    const subject = `key:${made.apiKey?.apiKeyId}`;
    assert.deepEqual([payload.sub, payload.client_id, payload.roles], [subject, subject, ["agent"]]);
    assert.equal(protectedHeader.typ, "at+jwt");
    // The key ends before the five minutes of a token are over.
    assert.ok((payload.exp ?? 0) - (payload.iat ?? 0) <= 120);
    const { apiKeys } = await replica.admin().listApiKeys({});
    const known = apiKeys.find(({ name }) => name === "shop");
    assert.ok(known?.lastUseTime);
    const [row] = await database.database.query<{ text: string }>("select api_key::text as text from api_key");
    assert.ok(!row?.text.includes(made.secret));
  });

  it("gives nothing once it is revoked, has expired, or was never given", async () => {
    const { secret, apiKey } = await replica.admin().createApiKey({ name: "gone", roles: [Role.AGENT] });
    await replica.people.exchangeApiKey({ apiKey: secret });
    const apiKeyId = apiKey?.apiKeyId ?? "";
    const first = await replica.admin().revokeApiKey({ apiKeyId });
    const again = await replica.admin().revokeApiKey({ apiKeyId });
    assert.deepEqual(again.apiKey?.revokeTime, first.apiKey?.revokeTime);
    assert.equal(await reasonOf(replica.people.exchangeApiKey({ apiKey: secret })), "API_KEY_REFUSED");
    const late = await replica.admin().createApiKey({ name: "late", roles: [Role.AGENT] });
    await query("update api_key set expire_time = now() where name = 'late'");
    for (const key of [late.secret, `${late.secret}x`, "ordermesh_key_"]) {
      assert.equal(await reasonOf(replica.people.exchangeApiKey({ apiKey: key })), "API_KEY_REFUSED");
    }
    assert.equal(await reasonOf(replica.admin().revokeApiKey({ apiKeyId: newId() })), "API_KEY_NOT_FOUND");
  });

  it("has a name of its own, until it ends", async () => {
    const { apiKey } = await replica.admin().createApiKey({ name: "till", roles: [Role.AGENT] });
    const again = () => replica.admin().createApiKey({ name: "till", roles: [Role.AGENT] });
    assert.equal(await reasonOf(again()), "API_KEY_NAME_TAKEN");
    await query("update api_key set expire_time = now() where name = 'till'");
    const next = await again();
    assert.notEqual(next.apiKey?.apiKeyId, apiKey?.apiKeyId);
    await replica.admin().revokeApiKey({ apiKeyId: next.apiKey?.apiKeyId ?? "" });
    await again();
  });

  it("is listed a page at a time, the newest first", async () => {
    const names: string[] = [];
    let pageToken = "";
    do {
      const page = await replica.admin().listApiKeys({ pageSize: 2, pageToken });
      names.push(...page.apiKeys.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken);
    assert.deepEqual(names, ["till", "till", "till", "late", "gone", "shop"]);
  });
});

describe("who may do what admins do", () => {
  const ask = (credential?: string) => reasonOf(replica.client(IdentityAdminService, credential).listPeople({}));

  it("is whoever has the role, by a token or by the key itself", async () => {
    assert.equal(await ask(await accessToken("admin-by-token", Role.ADMIN)), "none");
    assert.equal(await ask(bootstrapKey), "none");
    const { secret } = await replica.admin().createApiKey({ name: "admin-by-key", roles: [Role.ADMIN] });
    assert.equal(await ask(secret), "none");
  });

  it("is nobody without a credential, nor with another role", async () => {
    assert.equal(await ask(), "CREDENTIAL_MISSING");
    assert.equal(await ask(await accessToken("everything-else", ...others)), "NOT_PERMITTED");
    const { login } = await replica.person("vera");
    assert.equal(await ask((await login()).accessToken), "NOT_PERMITTED");
    assert.equal(await reasonOf(replica.client(AuditService, bootstrapKey).listAuditEvents({})), "NOT_PERMITTED");
  });

  it("is nobody with a credential that is not valid", async () => {
    const token = await accessToken("forger", Role.ADMIN);
    const [head = "", body = "", signature = ""] = token.split(".");
    const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url");
    const other = { ...decodeJwt(token), iss: "https://elsewhere.test" };
    const publicKey = (await keySet()).keys[0]?.x ?? "";
    const symmetric = new SignJWT(decodeJwt(token)).setProtectedHeader({ alg: "HS256", typ: "at+jwt" });
    const refused = [
      "ordermesh_key_made-up",
      "not a token",
      `${none}.${body}.`,
      `${head}.${Buffer.from(JSON.stringify(other)).toString("base64url")}.${signature}`,
      `${head}.${body}.${"A".repeat(86)}`,
      await symmetric.sign(Buffer.from(publicKey)),
    ];
    for (const credential of refused) {
      const expected = credential.includes(" ") ? "CREDENTIAL_MISSING" : "CREDENTIAL_REFUSED";
      assert.equal(await ask(credential), expected, credential);
    }
  });

  it("takes effect when roles are set: sessions end, and the next one has them", async () => {
    const { login, personId } = await replica.person("wanda");
    const before = await login();
    const { person } = await replica.admin().setRoles({ personId, roles: [Role.ADMIN, Role.AUDITOR] });
    assert.deepEqual(person?.roles, [Role.ADMIN, Role.AUDITOR]);
    assert.equal(await reasonOf(replica.people.refresh({ refreshToken: before.refreshToken })), "SESSION_OVER");
    assert.equal(await ask((await login()).accessToken), "none");
    await login();
    assert.equal((await replica.admin().endSessions({ personId })).ended, 2);
    assert.equal(await reasonOf(replica.admin().setRoles({ personId: newId(), roles: [] })), "PERSON_NOT_FOUND");
    assert.equal(await reasonOf(replica.admin().endSessions({ personId: newId() })), "PERSON_NOT_FOUND");
    const events = (await readAuditLog(database.database)).filter(({ subject }) => subject === personId);
    const set = events.find(({ action }) => action === "person.roles_set");
    assert.deepEqual([set?.actor, set?.details], ["key:bootstrap", { roles: "admin auditor" }]);
  });

  it("sees people by their address, or all", async () => {
    const { people } = await replica.admin().listPeople({ email: "WANDA@example.com" });
    assert.deepEqual(
      people.map(({ email }) => email),
      ["wanda@example.com"],
    );
    const page = await replica.admin().listPeople({ pageSize: 1 });
    assert.equal(page.people[0]?.email, "wanda@example.com");
    const next = await replica.admin().listPeople({ pageSize: 1, pageToken: page.nextPageToken });
    assert.equal(next.people[0]?.email, "vera@example.com");
  });
});

const others = [Role.CUSTOMER, Role.AGENT, Role.WAREHOUSE, Role.FINANCE, Role.OPERATOR, Role.AUDITOR];

describe("the keys that sign", () => {
  const kidOf = (token: string) => decodeProtectedHeader(token).kid;
  const kids = async (of = replica) => (await keySet(of)).keys.map(({ kid }) => kid);

  it("are shown with who signs, and nothing of their private halves", async () => {
    const about = await document("/.well-known/openid-configuration");
    assert.deepEqual([about.issuer, about.jwks_uri], [issuer, `${issuer}/.well-known/jwks.json`]);
    for (const key of (await keySet()).keys) {
      assert.deepEqual(Object.keys(key).toSorted(), ["alg", "crv", "kid", "kty", "use", "x"]);
    }
  });

  it("are the same for two replicas, which make one when they start together", async () => {
    const fresh = await identityDatabase();
    const both = await Promise.all([Replica.on(fresh.database), Replica.on(fresh.database)]);
    for (const each of both) each.parts.ring.reread();
    const [first = [], second = []] = await Promise.all(both.map((each) => kids(each)));
    assert.deepEqual([first.length, first], [1, second]);
    for (const each of both) each[Symbol.dispose]();
    await fresh[Symbol.asyncDispose]();
  });

  it("rotate: the next is shown before it signs, and the old one until what it signed is over", async () => {
    const { ring } = replica.parts;
    const [old] = await kids();
    const { login } = await replica.person("xenia");
    const before = (await login()).accessToken;
    await asOwner(
      "update signing_key set create_time = now() - interval '31 days', sign_time = now() - interval '31 days'",
    );
    ring.reread();
    assert.equal(await ring.rotate(), 1);
    assert.equal(await ring.rotate(), 0);
    const shown = await kids();
    assert.deepEqual([shown.length, shown[0]], [2, old]);
    assert.equal(kidOf((await login()).accessToken), old);
    await asOwner("update signing_key set sign_time = now() - interval '1 minute' where key_id <> $1", old);
    ring.reread();
    const after = (await login()).accessToken;
    assert.equal(kidOf(after), shown[1]);
    for (const token of [before, after]) await jwtVerify(token, createLocalJWKSet(await keySet()), claims);
    await asOwner("update signing_key set sign_time = now() - interval '6 minutes' where key_id <> $1", old);
    ring.reread();
    await ring.rotate();
    assert.deepEqual(await kids(), [shown[1]]);
    const [count] = await database.database.query<{ n: bigint }>("select count(*) as n from signing_key");
    assert.equal(count?.n, 1n);
  });

  it("are replaced at once when one was stolen: nobody takes what it signed", async () => {
    const { login } = await replica.person("yvonne");
    const stolen = (await login()).accessToken;
    const ask = (credential: string) => reasonOf(replica.client(IdentityAdminService, credential).listPeople({}));
    assert.equal(await ask(stolen), "NOT_PERMITTED");
    const { keyId } = await replica.admin().replaceSigningKeys({});
    assert.deepEqual(await kids(), [keyId]);
    assert.equal(await ask(stolen), "CREDENTIAL_REFUSED");
    assert.equal(kidOf((await login()).accessToken), keyId);
  });

  it("sign nothing when they were sealed with another secret: another one is made", async () => {
    const fresh = await identityDatabase();
    using first = await Replica.on(fresh.database);
    using other = await Replica.on(fresh.database, {
      PAGE_TOKEN_SECRET: "another secret of thirty-two characters, or more",
    });
    assert.equal((await kids(other)).length, 2);
    const { accessToken: token } = await other.people.exchangeApiKey({ apiKey: bootstrapKey });
    assert.notEqual(kidOf(token), (await kids(first))[0]);
    await fresh[Symbol.asyncDispose]();
  });

  it("go on signing when their secret changes while the process runs", async () => {
    const fresh = await identityDatabase();
    const times = { maxAgeMs: 60_000, leadMs: 0 };
    const secret = { text: "the secret of before, of thirty-two letters" };
    const repository = new SigningKeyRepository(fresh.database, secret, times);
    await repository.makeIfDue(true);
    secret.text = "the secret of today, of thirty-two characters";
    const usable = (keys: readonly SigningKey[]) => keys.map(({ privateKey }) => privateKey !== undefined);
    assert.deepEqual(usable(await repository.all()), [true]);
    // Another process begins with the secret of today.
    assert.deepEqual(usable(await new SigningKeyRepository(fresh.database, { ...secret }, times).all()), [false]);
    await fresh[Symbol.asyncDispose]();
  });
});
