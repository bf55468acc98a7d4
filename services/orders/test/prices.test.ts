import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DomainError } from "#platform/errors.ts";
import { toPriceColumns, toPrices } from "../src/order/price-row.ts";
import { maxTotal, type PricedAdjustment, type PricedLine, priceOf } from "../src/order/prices.ts";

type Given = Partial<Pick<PricedLine, "adjustments">>;

function line(amount: bigint, quantity = 1, { adjustments = [] }: Given = {}): PricedLine {
  return { quantity, unitPrice: { currency: "EUR", amount }, adjustments };
}

function adjustment(kind: PricedAdjustment["kind"], amount: bigint, included = false): PricedAdjustment {
  return { kind, name: `some ${kind}`, amount: { currency: "EUR", amount }, included };
}

const euros = (amount: bigint) => ({ currency: "EUR", amount });
const totalOf = (lines: readonly PricedLine[]) => priceOf({ lines, adjustments: [], total: undefined }).total;

function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return `${error.reasonName} ${JSON.stringify(error.metadata)} ${error.message}`;
    throw error;
  }
  return "";
}

describe("the total of an order", () => {
  it("sums quantities times prices in minor units", () => {
    assert.deepEqual(totalOf([line(1850n, 2), line(1000n)]), euros(4700n));
    const yen = { quantity: 10_000, unitPrice: { currency: "JPY", amount: 0n }, adjustments: [] };
    assert.deepEqual(totalOf([yen]), { currency: "JPY", amount: 0n });
  });

  it("is exact beyond what a double holds, up to the bound", () => {
    const cents = Array.from({ length: 99 }, () => line(10_101_010_101n));
    assert.deepEqual(totalOf([...cents, line(1n)]), euros(maxTotal));
    assert.match(
      refusalOf(() => totalOf([...cents, line(2n)])),
      /^TOTAL_TOO_LARGE \{"maximum":"1000000000000"\}/,
    );
  });

  it("does not wrap around with the largest lines that the contract takes", () => {
    const largest = Array.from({ length: 100 }, () => line(maxTotal, 10_000));
    assert.match(
      refusalOf(() => totalOf(largest)),
      /^TOTAL_TOO_LARGE/,
    );
  });

  it("has one currency", () => {
    const dollars = { currency: "USD", amount: 1n };
    const mixed = { lines: [line(1n)], adjustments: [adjustment("tax", 0n)], total: euros(1n) };
    for (const order of [
      { ...mixed, lines: [{ quantity: 1, unitPrice: dollars, adjustments: [] }, ...mixed.lines] },
      { ...mixed, lines: [line(1n, 1, { adjustments: [{ ...adjustment("tax", 1n), amount: dollars }] })] },
      { ...mixed, adjustments: [{ ...adjustment("tax", 1n), amount: dollars }] },
      { ...mixed, total: dollars },
    ]) {
      assert.match(
        refusalOf(() => priceOf(order)),
        /^CURRENCY_MISMATCH \{"currencies":"EUR,USD"\}/,
      );
    }
  });

  it("has shipping, discounts and taxes, but for taxes that are included", () => {
    const lines = [
      line(2_190n, 2, { adjustments: [adjustment("discount", -438n), adjustment("tax", 629n, true)] }),
      line(950n, 4),
    ];
    const adjustments = [adjustment("shipping", 490n), adjustment("tax", 100n), adjustment("tax", 607n, true)];
    const { total, prices } = priceOf({ lines, adjustments, total: euros(8_332n) });
    assert.deepEqual(total, euros(8_332n));
    // 3942 and 3800 of 7742, and with them 590 of the order as a whole.
    assert.deepEqual(prices?.lineAmounts, [4_242n, 4_090n]);
    assert.deepEqual(prices?.lineAdjustments[1], []);
    assert.deepEqual(prices?.adjustments[0], {
      kind: "shipping",
      name: "some shipping",
      amount: 490n,
      included: false,
    });
  });

  it("costs nothing more to compute, nor to keep, when it is that of the articles", () => {
    assert.equal(priceOf({ lines: [line(5n)], adjustments: [], total: euros(5n) }).prices, undefined);
    assert.deepEqual(Object.values(toPriceColumns(undefined)), [undefined, undefined]);
  });

  it("is spread by the number of pieces when these cost nothing", () => {
    const lines = [line(0n, 3), line(0n, 1)];
    const { prices } = priceOf({ lines, adjustments: [adjustment("shipping", 490n)], total: euros(490n) });
    assert.deepEqual(prices?.lineAmounts, [368n, 122n]);
  });

  const free = [adjustment("shipping", 490n), adjustment("discount", -900n)];
  it("may be less than the articles cost, when a discount takes more than the shipping", () => {
    const { prices } = priceOf({ lines: [line(1_000n)], adjustments: free, total: euros(590n) });
    assert.deepEqual(prices?.lineAmounts, [590n]);
  });

  for (const { what, lines = [line(1_000n)], adjustments = [], total, refusal } of [
    {
      what: "is another one than was given",
      adjustments: [adjustment("shipping", 490n)],
      total: euros(1_489n),
      refusal:
        'TOTAL_MISMATCH {"total":"1489","sum":"1490","currency":"EUR"} lines and adjustments sum to 1490 minor units of EUR, the total that was given is 1489',
    },
    {
      what: "was not given, and there are adjustments",
      adjustments: [adjustment("shipping", 490n)],
      refusal:
        'TOTAL_MISMATCH {"total":"","sum":"1490","currency":"EUR"} lines and adjustments sum to 1490 minor units of EUR, an order with adjustments has to have its total',
    },
    {
      what: "is another one than was given, without adjustments",
      total: euros(999n),
      refusal:
        'TOTAL_MISMATCH {"total":"999","sum":"1000","currency":"EUR"} lines and adjustments sum to 1000 minor units of EUR, the total that was given is 999',
    },
    {
      what: "is below zero",
      adjustments: [adjustment("discount", -1_001n)],
      total: euros(0n),
      refusal:
        'BELOW_ZERO {"field":"total","amount":"-1","currency":"EUR"} total is -1 minor units of EUR, and must not be below zero',
    },
    {
      what: "has a line below zero",
      lines: [line(1_000n), line(500n, 2, { adjustments: [adjustment("discount", -1_200n)] })],
      total: euros(800n),
      refusal:
        'BELOW_ZERO {"field":"lines[1]","amount":"-200","currency":"EUR"} lines[1] is -200 minor units of EUR, and must not be below zero',
    },
    {
      what: "has more taxes included than it costs",
      lines: [line(100n, 1, { adjustments: [adjustment("tax", 101n, true)] })],
      total: euros(100n),
      refusal:
        'BELOW_ZERO {"field":"lines[0]","amount":"-1","currency":"EUR"} lines[0] is -1 minor units of EUR without the taxes of 101 that are included, and must not be below zero',
    },
    {
      what: "is larger than an order may be, by its shipping",
      lines: [line(maxTotal)],
      adjustments: [adjustment("shipping", 1n)],
      total: euros(maxTotal),
      refusal: `TOTAL_TOO_LARGE {"maximum":"${maxTotal}"} an order may cost at most ${maxTotal} minor units`,
    },
  ]) {
    it(`is refused when it ${what}`, () => {
      assert.equal(
        refusalOf(() => priceOf({ lines, adjustments, total })),
        refusal,
      );
    });
  }

  it("is taken with the largest lines that the contract takes, when a discount makes them fit", () => {
    const lines = [line(maxTotal, 2), line(maxTotal)];
    const adjustments = [adjustment("discount", -maxTotal), adjustment("discount", -maxTotal)];
    const { prices } = priceOf({ lines, adjustments, total: euros(maxTotal) });
    assert.deepEqual(prices?.lineAmounts, [666_666_666_667n, 333_333_333_333n]);
  });
});

const amounts = fc.oneof(fc.bigInt({ min: 0n, max: 500n }), fc.bigInt({ min: 0n, max: maxTotal / 100_000_000n }));

/** Adjustments of chance. */
const anyAdjustments = fc.array(
  fc.record({ kind: fc.constantFrom("shipping", "discount", "tax"), amount: amounts, included: fc.boolean() }),
  { maxLength: 5 },
);

const anyLines = fc.array(
  fc.record({ quantity: fc.integer({ min: 1, max: 10_000 }), unitPrice: amounts, adjustments: anyAdjustments }),
  { minLength: 1, maxLength: 10 },
);

describe("the prices of any order", () => {
  it("sum to its total, line by line, and are read as they were written", () => {
    let taken = 0;
    fc.assert(
      fc.property(
        anyLines,
        anyAdjustments,
        fc.constantFrom("JPY", "EUR", "BHD"),
        (givenLines, givenAdjustments, currency) => {
          const toPriced = (given: (typeof givenAdjustments)[number], index: number): PricedAdjustment => ({
            kind: given.kind,
            name: `${given.kind} ${index}`,
            amount: { currency, amount: given.kind === "discount" ? -given.amount : given.amount },
            included: given.kind === "tax" && given.included,
          });
          const lines = givenLines.map(({ quantity, unitPrice, adjustments }) => ({
            quantity,
            unitPrice: { currency, amount: unitPrice },
            adjustments: adjustments.map(toPriced),
          }));
          const adjustments = givenAdjustments.map(toPriced);
          const all = [...adjustments, ...lines.flatMap((each) => each.adjustments)];
          const added = all.reduce((sum, each) => sum + (each.included ? 0n : each.amount.amount), 0n);
          const amount = lines.reduce((sum, each) => sum + each.unitPrice.amount * BigInt(each.quantity), added);
          const price = () => priceOf({ lines, adjustments, total: { currency, amount } });
          const refusal = refusalOf(price);
          if (refusal !== "") return assert.match(refusal, /^BELOW_ZERO/);
          taken += 1;
          const { total, prices } = price();
          assert.deepEqual(total, { currency, amount });
          if (all.length === 0) return assert.equal(prices, undefined);
          assert.ok(prices);
          assert.equal(
            prices.lineAmounts.reduce((sum, share) => sum + share, 0n),
            amount,
          );
          assert.ok(prices.lineAmounts.every((share) => share >= 0n));
          const columns = JSON.parse(JSON.stringify(toPriceColumns(prices)));
          assert.deepEqual(toPrices(columns), prices);
        },
      ),
      { numRuns: 500 },
    );
    assert.ok(taken > 100, `${taken} orders were taken`);
  });
});
