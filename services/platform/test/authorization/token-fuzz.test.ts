// What nobody thought of: tokens that were changed, made up, and are no tokens at all. None is taken, and each is refused as one.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createLocalJWKSet, exportJWK, generateKeyPair, SignJWT } from "jose";
import { TokenVerifier } from "#platform/authorization/token-verifier.ts";

const { publicKey, privateKey } = await generateKeyPair("EdDSA", { extractable: true });
const keys = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), kid: "first", alg: "EdDSA" }] });
const stranger = await generateKeyPair("EdDSA");
const issuer = "https://identity.test";
const callerOf = ({ sub = "" }: { sub?: string }) => ({ subject: sub, roles: new Set<never>() });
const verifier = new TokenVerifier([{ issuer, audience: "ordermesh", keys, callerOf }]);

const now = Math.floor(Date.now() / 1000);
const claims = { iss: issuer, aud: "ordermesh", sub: "C1", client_id: "app", jti: "1", iat: now, exp: now + 600 };
const header = { alg: "EdDSA", typ: "at+jwt", kid: "first" };
const genuine = await new SignJWT(claims).setProtectedHeader(header).sign(privateKey);

/** By what an attacker chooses, the same each time. */
const options = { seed: 20_261_201, numRuns: 500 };

function isRefused(credential: string): Promise<void> {
  return assert.rejects(verifier.verify(credential), { reasonName: "CREDENTIAL_REFUSED" });
}

const text = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
const json = fc.jsonValue({ maxDepth: 2 });
/** Claims and headers with some of their parts replaced by whatever JSON has. */
const changed = (usual: object) => {
  const names = [...Object.keys(usual), "nbf", "roles", "crit", "jwk", "jku", "x5u", "b64", "__proto__"];
  return fc.dictionary(fc.constantFrom(...names), json, { minKeys: 1 }).map((more) => ({ ...usual, ...more }));
};

describe("a credential that is no token of ours", () => {
  test("is refused when one of its letters is another one", async () => {
    assert.equal((await verifier.verify(genuine)).subject, "C1");
    const [signed, signature = ""] = [genuine.slice(0, genuine.lastIndexOf(".")), genuine.split(".")[2]];
    const at = fc.nat(genuine.length - 1);
    const property = fc.asyncProperty(at, fc.constantFrom(...alphabet), async (index, letter) => {
      const other = genuine.slice(0, index) + letter + genuine.slice(index + 1);
      // The last letter has bits that are of nothing: the same signature is written in several ways.
      const bytes = (part = "") => Buffer.from(part, "base64url");
      fc.pre(!(other.startsWith(`${signed}.`) && bytes(other.split(".")[2]).equals(bytes(signature))));
      await isRefused(other);
    });
    await fc.assert(property, options);
  });

  test("is refused whatever it says, when a stranger has signed it or nobody", async () => {
    const signatures = fc.constantFrom("", "AA", genuine.split(".")[2] ?? "");
    const unsigned = fc.asyncProperty(changed(header), changed(claims), signatures, async (head, said, signature) => {
      const credential = `${text(head)}.${text(said)}.${signature}`;
      fc.pre(credential !== genuine);
      await isRefused(credential);
    });
    await fc.assert(unsigned, options);
    const signed = fc.asyncProperty(changed(claims), async (said) => {
      await isRefused(await new SignJWT(said as never).setProtectedHeader(header).sign(stranger.privateKey));
    });
    await fc.assert(signed, { ...options, numRuns: 100 });
  });

  test("is refused when it is any text", async () => {
    const parts = fc
      .array(fc.string({ unit: "binary", maxLength: 60 }), { maxLength: 6 })
      .map((each) => each.join("."));
    const property = fc.asyncProperty(fc.oneof(parts, fc.string({ unit: "grapheme", maxLength: 300 })), isRefused);
    await fc.assert(property, options);
  });
});
