// An order in two: what was charged for both together is what the whole would have cost, and each is an order that could have been placed.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DomainError } from "#platform/errors.ts";
import type { Adjustment, Order } from "../src/order/order.ts";
import { type Split, splitOrder } from "../src/order/price-split.ts";
import { type PricedArticles, priceOf } from "../src/order/prices.ts";

type Priced = Pick<Order, "lines" | "total" | "prices">;

interface Wish {
  readonly order: Priced;
  readonly gone: ReadonlyMap<number, number>;
}

/** Yen have no minor units, dinars three digits of them: to the order they are whole numbers of other sizes. */
const currencies = fc.constantFrom("JPY", "EUR", "BHD");
const price = fc.oneof(fc.bigInt({ min: 0n, max: 3n }), fc.bigInt({ min: 0n, max: 90_000_000n }));

function adjustment(): fc.Arbitrary<Adjustment> {
  const size = fc.oneof(fc.bigInt({ min: 0n, max: 4n }), fc.bigInt({ min: 0n, max: 50_000n }));
  const name = fc.constant("some");
  return fc.oneof(
    fc.record({ kind: fc.constant("shipping" as const), name, amount: size, included: fc.constant(false) }),
    fc.record({
      kind: fc.constant("discount" as const),
      name,
      amount: size.map((amount) => -amount),
      included: fc.constant(false),
    }),
    fc.record({ kind: fc.constant("tax" as const), name, amount: size, included: fc.boolean() }),
  );
}

const line = fc.record({
  sku: fc.constantFrom("tea", "cup", "pot"),
  quantity: fc.integer({ min: 1, max: 40 }),
  unitPrice: price,
  adjustments: fc.array(adjustment(), { maxLength: 4 }),
  gone: fc.double({ min: 0, max: 1, noNaN: true }),
});

/** Whatever may be placed, and what of it is gone. */
const wishes: fc.Arbitrary<Wish> = fc
  .record({
    currency: currencies,
    lines: fc.array(line, { minLength: 1, maxLength: 6 }),
    adjustments: fc.array(adjustment(), { maxLength: 5 }),
  })
  .map(({ currency, lines, adjustments }) => {
    const money = (each: Adjustment) => ({ ...each, amount: { currency, amount: each.amount } });
    const articles = {
      lines: lines.map((each) => ({
        sku: each.sku,
        quantity: each.quantity,
        unitPrice: { currency, amount: each.unitPrice },
        adjustments: each.adjustments.map(money),
      })),
      adjustments: adjustments.map(money),
    };
    const own = [...lines.map((each) => each.adjustments), adjustments].flat().filter((each) => !each.included);
    const total =
      lines.reduce((sum, each) => sum + each.unitPrice * BigInt(each.quantity), 0n) +
      own.reduce((sum, { amount }) => sum + amount, 0n);
    const gone = new Map(lines.map((each, index) => [index, Math.round(each.gone * each.quantity)]));
    return { articles: { ...articles, total: { currency, amount: total } }, gone };
  })
  .filter(({ articles }) => isPlaced(articles))
  .map(({ articles, gone }) => {
    const { total, prices } = priceOf(articles);
    const lines = articles.lines.map(({ sku, quantity, unitPrice }) => ({
      sku,
      quantity,
      unitPrice: unitPrice.amount,
    }));
    return { order: { lines, total, prices }, gone };
  });

function isPlaced(articles: PricedArticles): boolean {
  try {
    priceOf(articles);
    return true;
  } catch (error) {
    assert.ok(error instanceof DomainError);
    return false;
  }
}

const sum = (amounts: readonly bigint[]) => amounts.reduce((all, amount) => all + amount, 0n);
const partsOf = ({ kept, gone }: Split<PricedArticles>) => [kept, gone].filter(({ lines }) => lines.length > 0);

describe("an order in two", () => {
  it("costs what it did, amount by amount, and each part is one that could have been placed", () => {
    fc.assert(
      fc.property(wishes, ({ order, gone }) => {
        const split = splitOrder(order, gone);
        assert.equal(split.kept.total?.amount ?? 0n, order.total.amount - (split.gone.total?.amount ?? 0n));
        for (const part of partsOf(split)) {
          const { total, prices } = priceOf(part);
          assert.deepEqual(total, part.total);
          if (prices) assert.equal(sum(prices.lineAmounts), total.amount);
        }
        const amounts = (part: PricedArticles) => part.adjustments.map(({ amount }) => amount.amount);
        for (const [index, { amount }] of (order.prices?.adjustments ?? []).entries()) {
          assert.equal((amounts(split.kept)[index] ?? 0n) + (amounts(split.gone)[index] ?? 0n), amount);
        }
        const pieces = (part: PricedArticles) => part.lines.reduce((all, { quantity }) => all + quantity, 0);
        assert.equal(
          pieces(split.kept) + pieces(split.gone),
          order.lines.reduce((all, { quantity }) => all + quantity, 0),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it("is no further from its exact share than one minor unit of each line, and one", () => {
    fc.assert(
      fc.property(wishes, ({ order, gone }) => {
        if (order.prices?.adjustments.length) return;
        const { kept } = splitOrder(order, gone);
        for (const [index, { quantity, unitPrice }] of order.lines.entries()) {
          const own = order.prices?.lineAdjustments[index] ?? [];
          const cost =
            unitPrice * BigInt(quantity) + sum(own.filter(({ included }) => !included).map(({ amount }) => amount));
          const left = BigInt(quantity - (gone.get(index) ?? 0));
          const before = order.lines.slice(0, index).filter((each, at) => each.quantity > (gone.get(at) ?? 0)).length;
          const line = left === 0n ? undefined : kept.lines[before];
          const costs = line
            ? line.unitPrice.amount * left +
              sum(line.adjustments.filter(({ included }) => !included).map(({ amount }) => amount.amount))
            : 0n;
          const distance = costs * BigInt(quantity) - cost * left;
          assert.ok(distance < BigInt(quantity) && -distance < BigInt(quantity), `${costs} of ${cost}`);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("never costs less than nothing, however many discounts there are of one piece", () => {
    const discounts = [1, 2, 3].map(() => ({ kind: "discount" as const, name: "one", amount: -1n, included: false }));
    const order: Priced = {
      lines: [{ sku: "tea", quantity: 3, unitPrice: 1n }],
      total: { currency: "JPY", amount: 0n },
      prices: { adjustments: [], lineAdjustments: [discounts], lineAmounts: [0n] },
    };
    for (const gone of [1, 2]) {
      const split = splitOrder(order, new Map([[0, gone]]));
      for (const part of partsOf(split)) assert.equal(priceOf(part).total.amount, 0n);
    }
  });

  it("that is cut again and again sums to the same", () => {
    fc.assert(
      fc.property(wishes, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }), ({ order }, cuts) => {
        let rest = order;
        let paid = 0n;
        for (const share of cuts) {
          const gone = new Map(rest.lines.map(({ quantity }, index) => [index, Math.ceil(quantity * share)]));
          const split = splitOrder(rest, gone);
          paid += split.kept.total?.amount ?? 0n;
          if (split.gone.lines.length === 0) {
            rest = { lines: [], total: { ...order.total, amount: 0n }, prices: undefined };
            break;
          }
          const lines = split.gone.lines.map((each) => ({ ...each, unitPrice: each.unitPrice.amount }));
          rest = { lines, ...priceOf(split.gone) };
        }
        assert.equal(paid + rest.total.amount, order.total.amount);
      }),
    );
  });
});
