// What of a caller's baggage goes on to callees.
import assert from "node:assert/strict";
import { test } from "node:test";
import { boundedBaggage, userIdOf, withUserId } from "#platform/baggage.ts";

test("the user id is read, decoded, and must be of reasonable length", () => {
  const cases: [string | undefined, string | undefined][] = [
    [undefined, undefined],
    ["", undefined],
    ["user.id=u-1", "u-1"],
    ["tier=gold, user.id = ada%20l;since=2020 ,x=1", "ada l"],
    ["user.id=100%", "100%"],
    ["other.user.id=u-1", undefined],
    [`user.id=${"u".repeat(129)}`, undefined],
  ];
  for (const [header, id] of cases) assert.equal(userIdOf(header), id, header);
});

test("reasonable baggage goes on as it is", () => {
  assert.equal(boundedBaggage("tier=gold, user.id=u-1;p=1"), "tier=gold,user.id=u-1;p=1");
  for (const nothing of [undefined, "", ",", "no entry"]) assert.equal(boundedBaggage(nothing), undefined);
});

test("of too much, whole entries go on, the user id first", () => {
  const many = Array.from({ length: 60 }, (_, index) => `key${index}=${"v".repeat(10)}`);
  const bounded = boundedBaggage([...many, "user.id=u-1"].join(",")) ?? "";
  assert.deepEqual(bounded.split(",").slice(0, 2), ["user.id=u-1", many[0]]);
  assert.equal(bounded.split(",").length, 16);
  const long = boundedBaggage(`a=${"x".repeat(600)},b=${"x".repeat(600)},user.id=u-1`) ?? "";
  assert.equal(long, `user.id=u-1,a=${"x".repeat(600)}`);
  assert.equal(boundedBaggage(`a=${"x".repeat(8_000)}`), undefined);
});

test("the user of the context is the one that is named", () => {
  assert.equal(withUserId(undefined, "ada l"), "user.id=ada%20l");
  assert.equal(withUserId("tier=gold,user.id=u-1", "u-2"), "user.id=u-2,tier=gold");
  assert.equal(withUserId("tier=gold,user.id=u-1", "u-1"), "tier=gold,user.id=u-1");
});
