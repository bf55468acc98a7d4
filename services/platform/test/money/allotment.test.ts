// Parts of money: whatever is split, returned, dropped and in whatever order, they sum to the whole.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Allotment, amountOf, type Lot } from "#platform/money/allotment.ts";
import { apportion } from "#platform/money/apportion.ts";

const most = 1_000_000_000_000;
const sumOf = (parts: readonly bigint[]) => parts.reduce((sum, part) => sum + part, 0n);

describe("a total", () => {
  for (const { weights, total, parts } of [
    { weights: [1n, 1n, 1n], total: 100n, parts: [34n, 33n, 33n] },
    { weights: [0n, 0n], total: 3n, parts: [2n, 1n] },
    { weights: [2n, 1n], total: 0n, parts: [0n, 0n] },
    { weights: [999_999_999_999n, 1n], total: 999_999_999_999n, parts: [999_999_999_998n, 1n] },
    { weights: [], total: 5n, parts: [] },
  ]) {
    test(`of ${total} is split by ${weights.join(":")} without a rest`, () => {
      assert.deepEqual(apportion(weights, total), parts);
      if (weights.length > 0) assert.equal(sumOf(parts), total);
    });
  }

  test("is split into parts that sum to it, each its exact share rounded down or up", () => {
    const amount = fc.bigInt({ min: 0n, max: BigInt(most) });
    const weights = fc.array(amount, { minLength: 1, maxLength: 100 });
    fc.assert(
      fc.property(weights, amount, (given, total) => {
        const parts = apportion(given, total);
        assert.equal(sumOf(parts), total);
        const sum = sumOf(given);
        if (sum === 0n) return;
        for (const [index, part] of parts.entries()) {
          const exact = (given[index] ?? 0n) * total;
          assert.ok(part >= exact / sum && part <= exact / sum + 1n, `${part} of ${total} by ${given}`);
          if (exact % sum === 0n) assert.equal(part, exact / sum);
        }
      }),
    );
  });

  test("gives what is left to the largest remainders, of equal ones to the first", () => {
    assert.deepEqual(apportion([1n, 2n, 1n, 2n], 5n), [1n, 2n, 1n, 1n]);
    assert.deepEqual(apportion([5n, 5n, 5n], 2n), [1n, 1n, 0n]);
  });
});

const lot = fc.record({
  key: fc.constantFrom("tea", "cup", "pot"),
  quantity: fc.integer({ min: 1, max: 10_000 }),
  amount: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: most })),
});
const lots = fc.array(lot, { minLength: 1, maxLength: 12 });

/** Takes portions of chance until nothing is left, of kinds in the order of chance. */
function takeAll(from: readonly Lot[], gen: fc.GeneratorValue): Lot[][] {
  const next = (max: number) => gen(fc.nat, { max });
  const allotment = new Allotment(from);
  const open = new Map<string, number>();
  for (const { key, quantity } of from) open.set(key, (open.get(key) ?? 0) + quantity);
  const portions: Lot[][] = [];
  while (open.size > 0) {
    const [key = "", left = 0] = [...open][next(open.size - 1)] ?? [];
    const quantity = 1 + next(left - 1);
    portions.push(allotment.take(key, quantity));
    if (quantity === left) open.delete(key);
    else open.set(key, left - quantity);
  }
  return portions;
}

describe("pieces", () => {
  test("cost what the whole costs, in however many portions they are taken", () => {
    fc.assert(
      fc.property(lots, fc.gen(), (given, drawn) => {
        const portions = takeAll(given, drawn);
        assert.equal(amountOf(portions.flat()), amountOf(given));
        assert.ok(portions.flat().every(({ amount, quantity }) => amount >= 0 && quantity > 0));
      }),
    );
  });

  test("cost the same when they are taken at once and one after the other", () => {
    fc.assert(
      fc.property(lots, fc.integer({ min: 0, max: 40_000 }), fc.integer({ min: 0, max: 40_000 }), (given, one, two) => {
        const [apart, together] = [new Allotment(given), new Allotment(given)];
        const parts = [...apart.take("tea", one), ...apart.take("tea", two)];
        assert.equal(amountOf(parts), amountOf(together.take("tea", one + two)));
      }),
    );
  });

  test("cost their exact share to less than one minor unit for each lot", () => {
    fc.assert(
      fc.property(lot, fc.nat(), fc.nat(), (given, before, wanted) => {
        const allotment = new Allotment([given]);
        allotment.take(given.key, before % given.quantity);
        const [part] = allotment.take(given.key, 1 + (wanted % given.quantity));
        assert.ok(part);
        const off = BigInt(part.amount) * BigInt(given.quantity) - BigInt(given.amount) * BigInt(part.quantity);
        assert.ok(off > -BigInt(given.quantity) && off < BigInt(given.quantity), `${part.amount} is off by ${off}`);
      }),
    );
  });

  test("of a part are a whole again: what is returned of a parcel sums to what the parcel cost", () => {
    fc.assert(
      fc.property(lots, fc.gen(), (given, drawn) => {
        for (const parcel of takeAll(given, drawn).slice(0, 20)) {
          const returned = takeAll(parcel, drawn);
          assert.equal(amountOf(returned.flat()), amountOf(parcel));
        }
      }),
      { numRuns: 30 },
    );
  });

  test("are no more than there are, and none of what there is not", () => {
    const allotment = new Allotment([{ key: "tea", quantity: 3, amount: 100 }]);
    assert.deepEqual(allotment.take("cup", 1), []);
    assert.deepEqual(allotment.take("tea", 0), []);
    assert.deepEqual(allotment.take("tea", 5), [{ key: "tea", quantity: 3, amount: 100 }]);
    assert.deepEqual(allotment.take("tea", 1), []);
  });

  for (const wrong of [
    { key: "tea", quantity: 0, amount: 1 },
    { key: "tea", quantity: 1.5, amount: 1 },
    { key: "tea", quantity: 1, amount: -1 },
    { key: "tea", quantity: 1, amount: 2 ** 53 },
    { key: "tea", quantity: 1, amount: Number.NaN },
  ]) {
    test(`are refused when they are ${wrong.quantity} for ${wrong.amount}`, () => {
      assert.throws(() => new Allotment([wrong]), RangeError);
    });
  }
});
