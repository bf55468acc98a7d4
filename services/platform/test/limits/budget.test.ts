// What a caller has left: never more than its quota at once, and never more in a time than comes back in it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Budget } from "#platform/limits/budget.ts";

/** A budget whose time only passes when it is told to. */
function world(calls: number, windowMs: number, most?: number) {
  let now = 5_000;
  const budget = new Budget({ calls, windowMs }, { now: () => now, ...(most && { most }) });
  return {
    budget,
    pass: (ms: number) => {
      now += ms;
    },
    times: (count: number, who = "ada") => Array.from({ length: count }, () => budget.take(who).taken),
  };
}

describe("a budget", () => {
  test("has the whole quota at once, and then nothing", () => {
    const { budget, times } = world(3, 3_000);
    assert.deepEqual(times(5), [true, true, true, false, false]);
    assert.deepEqual(budget.take("ada"), { taken: false, left: 0, waitMs: 1_000, wholeMs: 3_000 });
  });

  test("comes back evenly, and a call that is refused costs nothing", () => {
    const { times, pass } = world(3, 3_000);
    times(9);
    pass(999);
    assert.deepEqual(times(1), [false]);
    pass(1);
    assert.deepEqual(times(2), [true, false]);
    pass(60_000);
    assert.deepEqual(times(4), [true, true, true, false]);
  });

  test("says what is left", () => {
    const { budget, pass } = world(4, 1_000);
    assert.deepEqual(budget.take("ada"), { taken: true, left: 3, waitMs: 0, wholeMs: 250 });
    assert.deepEqual(budget.take("ada"), { taken: true, left: 2, waitMs: 0, wholeMs: 500 });
    pass(100);
    const { left, wholeMs } = budget.take("ada");
    assert.deepEqual([left, Math.round(wholeMs)], [1, 650]);
  });

  test("is each caller's own", () => {
    const { budget, times } = world(2, 1_000);
    times(3, "ada");
    assert.deepEqual([budget.has("ada"), budget.has("bob")], [false, true]);
    assert.deepEqual(times(3, "bob"), [true, true, false]);
  });

  test("is forgotten of the one who was silent for longest, when there are too many callers", () => {
    const { budget, times } = world(1, 1_000, 2);
    times(1, "ada");
    times(1, "bob");
    times(1, "eve");
    assert.equal(budget.size, 2);
    assert.deepEqual([budget.has("ada"), budget.has("bob"), budget.has("eve")], [true, false, false]);
  });

  test("gives whatever is asked of it no more than the quota and what came back", () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 700 }), fc.integer({ min: 1, max: 9 })), {
      maxLength: 60,
    });
    const property = (calls: number, windowMs: number, asked: readonly (readonly [number, number])[]) => {
      const { times, pass } = world(calls, windowMs);
      let given = 0;
      let passed = 0;
      for (const [ms, count] of asked) {
        pass(ms);
        passed += ms;
        given += times(count).filter(Boolean).length;
        assert.ok(given <= calls + (passed * calls) / windowMs + 1e-6, `${given} within ${passed} ms`);
      }
    };
    fc.assert(fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 5_000 }), steps, property));
  });
});
