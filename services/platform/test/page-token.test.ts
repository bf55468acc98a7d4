import assert from "node:assert/strict";
import { it } from "node:test";
import { type Json, PageTokens } from "#platform/page-token.ts";

const tokens = new PageTokens("a secret of at least thirty-two characters");
const filter: Json = { method: "ListOrders", customer: "c1", status: ["a", "b"] };

it("gives back the cursor to the same list", () => {
  const cursor: Json = { time: "2026-11-21T12:00:00Z", id: "x" };
  const token = tokens.seal(cursor, filter);
  assert.match(token, /^[\w-]+$/);
  assert.deepEqual(tokens.open(token, { status: ["a", "b"], customer: "c1", method: "ListOrders" }), cursor);
  assert.equal(tokens.open("", filter), undefined);
});

it("has one token for a place of a list, and another for each other place and list", () => {
  const token = tokens.seal(["a"], filter);
  assert.equal(tokens.seal(["a"], filter), token);
  const others = [tokens.seal(["b"], filter), tokens.seal(["a"], { method: "ListOrders" })];
  // Beside the version, the IV: one that two contents shared would give both away.
  const ivs = new Set([token, ...others].map((text) => text.slice(0, 17)));
  assert.equal(ivs.size, 3);
});

it("refuses a token of another list, of another secret, and a damaged one", () => {
  const token = tokens.seal(["x"], filter);
  const damaged = [...token]
    .map((_, at) => at)
    .map((at) => token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1));
  const invalid = { reasonName: "INVALID_PAGE_TOKEN" };
  assert.throws(() => tokens.open(token, { method: "ListOrders", customer: "c2", status: ["a", "b"] }), invalid);
  assert.throws(() => new PageTokens("x".repeat(32)).open(token, filter), invalid);
  for (const bad of [...damaged, "x", "AQ", token.slice(0, -2), `${token}AAAA`]) {
    if (Buffer.from(bad, "base64url").equals(Buffer.from(token, "base64url"))) continue;
    assert.throws(() => tokens.open(bad, filter), invalid, bad);
  }
});

it("refuses a short secret", () => {
  assert.throws(() => new PageTokens("short"), RangeError);
});
