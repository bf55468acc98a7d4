import assert from "node:assert/strict";
import { it } from "node:test";
import { bucketOf, decodeId, encodeId, isId, newId, timeOf } from "#platform/id.ts";

it("goes from text to uuid and back", () => {
  const cases: [string, string][] = [
    ["00000000-0000-0000-0000-000000000000", "00000000000000000000000000"],
    ["ffffffff-ffff-ffff-ffff-ffffffffffff", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"],
    ["01563df3-6481-0000-0000-000000000001", "01ARYZ6S410000000000000001"],
  ];
  for (const [uuid, text] of cases) {
    assert.equal(encodeId(uuid), text);
    assert.equal(decodeId(text), uuid);
  }
  for (let round = 0; round < 1_000; round += 1) {
    const id = newId();
    assert.equal(encodeId(decodeId(id)), id);
  }
});

it("carries its time and its bucket, and does not repeat", () => {
  const before = Date.now();
  const id = newId(4711);
  assert.equal(bucketOf(id), 4711);
  assert.ok(timeOf(id).getTime() >= before && timeOf(id).getTime() <= Date.now());
  assert.equal(new Set(Array.from({ length: 10_000 }, () => newId(1))).size, 10_000);
});

it("refuses what is not an id", () => {
  for (const text of ["", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01aryz6s410000000000000001", "0".repeat(25), "O".repeat(26)]) {
    assert.equal(isId(text), false);
    assert.throws(() => decodeId(text), RangeError);
  }
});
