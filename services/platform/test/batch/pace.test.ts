import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Pace } from "#platform/batch/pace.ts";

const options = { spacingMs: 250, full: 64 };

/** Lets events arrive at these times, and tells when claims went and what each took. */
function claims(arrivals: readonly number[], pace = new Pace(options)): [time: number, count: number][] {
  const went: [number, number][] = [];
  let waiting = 0;
  const goesUntil = (end: number, now: number): number => {
    let at = now;
    for (let next = at + pace.waitMs(at); next <= end; next = at + pace.waitMs(at)) {
      at = next;
      const count = Math.min(waiting, options.full);
      waiting -= count;
      pace.begins();
      pace.had(at, count);
      if (waiting > 0) pace.came(options.full);
      went.push([at, count]);
    }
    return at;
  };
  for (const [index, at] of arrivals.entries()) {
    waiting += 1;
    pace.came(1);
    goesUntil((arrivals[index + 1] ?? Number.MAX_SAFE_INTEGER) - 1e-6, at);
  }
  return went;
}

const every = (ms: number, count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index * ms);

describe("the pace of batches", () => {
  it("lets the first go at once", () => {
    assert.deepEqual(claims([1_000]), [[1_000, 1]]);
  });

  it("lets what comes seldom go at once, or nearly", () => {
    const arrivals = every(2_000, 10);
    const went = claims(arrivals);
    assert.equal(went.length, 10);
    for (const [index, [at]] of went.entries()) assert.ok(at - (arrivals[index] ?? 0) < 20);
  });

  it("makes one batch of what arrives within the spacing when there is much, and lets nobody wait for longer", () => {
    const arrivals = every(10, 500);
    const went = claims(arrivals).filter(([at]) => at > 1_000 && at < 4_900);
    for (const [index, [at]] of went.entries()) {
      const before = went[index - 1]?.[0];
      if (before !== undefined) assert.ok(at - before >= 249 && at - before <= 260, `${at - before}`);
    }
    assert.ok(
      went.every(([, count]) => count >= 24 && count <= 26),
      JSON.stringify(went),
    );
  });

  it("lets a full batch go at once", () => {
    const went = claims(every(1, 640)).filter(([at]) => at > 100 && at < 600);
    assert.ok(
      went.every(([, count]) => count === 64),
      JSON.stringify(went),
    );
    assert.ok(went.every(([at], index) => index === 0 || at - (went[index - 1]?.[0] ?? 0) <= 65));
  });

  it("knows of nothing that waits once a batch has begun", () => {
    const pace = new Pace(options);
    pace.came(1);
    pace.begins();
    pace.had(1, 10);
    assert.equal(pace.waitMs(2), Number.POSITIVE_INFINITY);
    pace.came(1);
    assert.ok(pace.waitMs(2) > 0);
    pace.came(options.full);
    assert.equal(pace.waitMs(2), 0);
  });
});
