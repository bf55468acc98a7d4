import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeId, encodeId, newId, timeOf } from "#platform/id.ts";
import { idsOf, type Limit, LimitError } from "../src/limit.ts";

const names = { since: "--since", until: "--until" };
const now = Date.parse("2026-11-30T12:00:00Z");
const timesOf = (limit: Limit) => {
  const { from, to } = idsOf(limit, names, now) ?? assert.fail("no limit");
  return [from, to].map((id) => timeOf(encodeId(id)).toISOString());
};

describe("a limit of what is compared", () => {
  it("is none when nothing is given", () => assert.equal(idsOf({}, names), undefined));

  it("holds what was made in its time, the ends among it", () => {
    assert.deepEqual(timesOf({ since: "24h", until: "90m" }), ["2026-11-29T12:00:00.000Z", "2026-11-30T10:30:00.000Z"]);
    assert.equal(timesOf({ since: "7d" })[0], "2026-11-23T12:00:00.000Z");
    const day = timesOf({ since: "2026-11-29", until: "2026-11-29T23:59:59.999+01:00" });
    assert.deepEqual(day, ["2026-11-29T00:00:00.000Z", "2026-11-29T22:59:59.999Z"]);
    const id = decodeId(newId());
    const { from, to } = idsOf({ since: "1m" }, names) ?? assert.fail("no limit");
    assert.ok(from < id && id < to, `${from} ${id} ${to}`);
  });

  it("can be one order", () => {
    const id = newId();
    assert.deepEqual(idsOf({ since: id, until: id }, names), { from: decodeId(id), to: decodeId(id) });
  });

  for (const [limit, message] of [
    [{ since: "yesterday" }, /^--since is an order's id, a time such as .*, not "yesterday"\.$/],
    [{ until: "24" }, /^--until is .*not "24"\.$/],
    [{ since: "2026-13-01" }, /^--since is .*not "2026-13-01"\.$/],
    [{ since: "999999d" }, /^--since is .*not "999999d"\.$/],
    [{ since: "1h", until: "2h" }, /^--since is 1h, which comes after --until, 2h\.$/],
  ] as const) {
    it(`is refused when it is ${JSON.stringify(limit)}`, () => {
      assert.throws(
        () => idsOf(limit, names, now),
        (error) => error instanceof LimitError && message.test(error.message),
      );
    });
  }
});
