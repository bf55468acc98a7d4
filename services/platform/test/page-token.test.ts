import assert from "node:assert/strict";
import { it } from "node:test";
import { type Json, PageTokens } from "#platform/page-token.ts";
import { pageTokenSecret, secretOf } from "#testing/secret.ts";

const tokens = new PageTokens(pageTokenSecret);
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
  assert.throws(() => new PageTokens(secretOf("x".repeat(32))).open(token, filter), invalid);
  for (const bad of [...damaged, "x", "AQ", token.slice(0, -2), `${token}AAAA`]) {
    if (Buffer.from(bad, "base64url").equals(Buffer.from(token, "base64url"))) continue;
    assert.throws(() => tokens.open(bad, filter), invalid, bad);
  }
});

it("refuses a short secret", () => {
  assert.throws(() => new PageTokens(secretOf("short")), RangeError);
});

it("goes on with lists that were begun when the secret changes, and with those of a replica that read it earlier", () => {
  const texts = ["first secret of at least 32 characters", "second secret of at least 32 characters"] as const;
  const [first, second] = texts.map((text) => new PageTokens(secretOf(text)));
  const held: { text: string } = { text: texts[0] };
  let file: string = texts[0];
  const look = () => {
    const changed = held.text !== file;
    held.text = file;
    return changed;
  };
  const own = new PageTokens({
    look,
    get text() {
      return held.text;
    },
  });
  const before = own.seal(["x"], filter);
  assert.equal(before, first?.seal(["x"], filter));

  file = texts[1];
  const early = second?.seal(["y"], filter) ?? "";
  assert.deepEqual(own.open(early, filter), ["y"]);
  assert.deepEqual(own.open(before, filter), ["x"]);
  assert.equal(own.seal(["y"], filter), early);
  const strange = new PageTokens(secretOf("x".repeat(32))).seal(["x"], filter);
  assert.throws(() => own.open(strange, filter), { reasonName: "INVALID_PAGE_TOKEN" });
});
