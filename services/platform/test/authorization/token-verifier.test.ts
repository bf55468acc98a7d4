// Which access tokens are taken: RFC 9068, section 4, and what attackers make of them.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWTHeaderParameters,
  type JWTVerifyGetKey,
  SignJWT,
} from "jose";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { rolesOf, TokenVerifier } from "#platform/authorization/token-verifier.ts";

const ours = "https://identity.test";
const theirs = "https://elsewhere.test";

async function issuer(name: string, alg = "EdDSA") {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: name, alg };
  const keys = createLocalJWKSet({ keys: [jwk] });
  return { issuer: name, audience: "ordermesh", keys, callerOf, privateKey, publicKey, alg };
}

function callerOf({ sub = "", roles }: { sub?: string; roles?: unknown }) {
  return { subject: sub, roles: rolesOf(roles) };
}

const [first, second] = [await issuer(ours), await issuer(theirs, "ES256")];

/** What a token says, unless a case says otherwise. */
interface Said {
  readonly from?: typeof first;
  readonly header?: Partial<JWTHeaderParameters>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly key?: Parameters<SignJWT["sign"]>[0];
}

function tokenOf({ from = first, header, claims, key = from.privateKey }: Said = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const usual = { iss: from.issuer, aud: "ordermesh", sub: "C1", client_id: "app", jti: "1", iat: now, exp: now + 60 };
  const payload = Object.fromEntries(
    Object.entries({ ...usual, ...claims }).filter(([, value]) => value !== undefined),
  );
  return new SignJWT(payload)
    .setProtectedHeader({ alg: from.alg, typ: "at+jwt", kid: from.issuer, ...header })
    .sign(key, { crit: { x: true } });
}

const stranger = await issuer(ours);
const spki = Buffer.from(await exportSPKI(first.publicKey));
const verifier = () => new TokenVerifier([first, second]);
const now = Math.floor(Date.now() / 1000);

describe("an access token", () => {
  test("of each issuer is taken, with its roles", async () => {
    for (const from of [first, second]) {
      const caller = await verifier().verify(
        await tokenOf({ from, claims: { roles: ["agent", "king", "unspecified", 7] } }),
      );
      assert.deepEqual(caller, { subject: "C1", roles: new Set([Role.AGENT]) });
    }
  });

  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const cases: readonly (readonly [string, Said, "expired" | "invalid"])[] = [
    ["that has expired", { claims: { exp: now - 10 } }, "expired"],
    ["that is not valid yet", { claims: { nbf: now + 60 } }, "invalid"],
    ["for somebody else", { claims: { aud: "payroll" } }, "invalid"],
    ["of nobody we know", { claims: { iss: "https://nobody.test" } }, "invalid"],
    ["whose issuer is written otherwise", { claims: { iss: `${ours}/` } }, "invalid"],
    ["of one issuer, with the keys of another", { from: second, claims: { iss: ours } }, "invalid"],
    ["signed by a stranger", { key: stranger.privateKey }, "invalid"],
    ["that is an ID token", { header: { typ: "JWT" } }, "invalid"],
    ["without a type", { header: { typ: undefined } as never }, "invalid"],
    ["signed with the public key as a secret", { header: { alg: "HS256" }, key: spki }, "invalid"],
    ["by an algorithm that is not ours", { header: { alg: "RS256" }, key: rsa }, "invalid"],
    ["whose key is a path", { header: { kid: "../../../dev/null" } }, "invalid"],
    ["with what nobody understands", { header: { crit: ["x"], x: 1 } as never }, "invalid"],
    ...["sub", "exp", "iat", "jti", "client_id"].map(
      (name) => [`without ${name}`, { claims: { [name]: undefined } }, "invalid"] as const,
    ),
  ];
  for (const [what, said, cause] of cases) {
    test(`${what} is refused`, async () => {
      const token = await tokenOf(said).catch(() => undefined);
      if (token === undefined) return assert.fail("the token cannot be made");
      await assert.rejects(verifier().verify(token), { reasonName: "CREDENTIAL_REFUSED", metadata: { cause } });
    });
  }

  const judgements: readonly (readonly [string, Said])[] = [
    ['unexpected "aud" claim value', { claims: { aud: "payroll" } }],
    ['unexpected "typ" JWT header value', { header: { typ: "JWT" } }],
    ['missing required "jti" claim', { claims: { jti: undefined } }],
    ["of an issuer that nobody named", { claims: { iss: "https://nobody.test" } }],
    ["signed by a key that its issuer does not show", { header: { kid: "another" } }],
    ["signed by somebody else", { key: stranger.privateKey }],
    ["no token", { header: { crit: ["x"], x: 1 } as never }],
  ];
  for (const [why, said] of judgements) {
    test(`that is ${why}: the log has that, and nothing of the token`, async () => {
      const refusal = await verifier()
        .verify(await tokenOf(said))
        .catch((error: Error) => error);
      assert.equal((refusal as Error).cause instanceof Error && (refusal as { cause: Error }).cause.message, why);
    });
  }

  test("names its program by either of the two claims that say it", async () => {
    const keycloak = await tokenOf({ claims: { client_id: undefined, azp: "app" } });
    assert.equal((await verifier().verify(keycloak)).subject, "C1");
    const neither = await tokenOf({ claims: { client_id: undefined, azp: 7 } });
    await assert.rejects(verifier().verify(neither), { reasonName: "CREDENTIAL_REFUSED" });
  });

  const lenient: readonly (readonly [string, Said, boolean])[] = [
    ["without a type, as Kubernetes has it", { header: { typ: undefined } as never }, true],
    ["of the type JWT", { header: { typ: "JWT" } }, true],
    ["of the type at+jwt, where some programs' tokens have it", {}, true],
    ["that says in a claim to be for calls", { header: { typ: "JWT" }, claims: { typ: "Bearer" } }, true],
    ["that says in a claim to be an ID token", { header: { typ: "JWT" }, claims: { typ: "ID" } }, false],
    ["with the hash of an access token", { header: { typ: "JWT" }, claims: { at_hash: "x" } }, false],
    ["that ends a session", { header: { typ: "logout+jwt" } }, false],
    ["that proves a key", { header: { typ: "dpop+jwt" } }, false],
  ];
  for (const [what, said, isTaken] of lenient) {
    test(`${what} is ${isTaken ? "taken" : "refused"} where its issuer knows no type`, async () => {
      const judged = new TokenVerifier([{ ...first, type: "JWT" }]).verify(await tokenOf(said));
      if (isTaken) assert.equal((await judged).subject, "C1");
      else await assert.rejects(judged, { reasonName: "CREDENTIAL_REFUSED" });
    });
  }

  test("without a signature, or that is none, is refused", async () => {
    const [, payload = ""] = (await tokenOf()).split(".");
    const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url");
    for (const text of [`${none}.${payload}.`, `${none}.${payload}`, "", "a.b.c", "x".repeat(10_000)]) {
      await assert.rejects(verifier().verify(text), { reasonName: "CREDENTIAL_REFUSED" });
    }
  });

  test("that was verified is not verified again, until it is forgotten", async () => {
    let asked = 0;
    const keys: JWTVerifyGetKey = (...given) => {
      asked += 1;
      return first.keys(...given);
    };
    const counting = new TokenVerifier([{ ...first, keys }]);
    const token = await tokenOf();
    for (let round = 0; round < 3; round += 1) await counting.verify(token);
    assert.equal(asked, 1);
    counting.forget();
    await counting.verify(token);
    assert.equal(asked, 2);
  });

  test("whose issuer does not answer is not refused: it may be tried again", async () => {
    const keys = createRemoteJWKSet(new URL("http://127.0.0.1:1/keys"));
    const away = new TokenVerifier([{ ...first, keys }]);
    await assert.rejects(away.verify(await tokenOf()), { reasonName: "UNAVAILABLE", retryAfterMs: 1_000 });
  });
});
