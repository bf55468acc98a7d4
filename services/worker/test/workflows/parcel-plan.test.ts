import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Allocation, OrderLine } from "../../src/workflows/order/order-types.ts";
import { planParcels } from "../../src/workflows/order/parcel-plan.ts";
import { anOrder } from "../stage/harness.ts";

const cases: { name: string; lines: OrderLine[]; allocations: Allocation[]; amounts: Record<string, number> }[] = [
  {
    name: "one location",
    lines: [{ sku: "tea", quantity: 3, unitPrice: 333 }],
    allocations: [{ sku: "tea", locationId: "BER", quantity: 3 }],
    amounts: { BER: 999 },
  },
  {
    name: "one article from two locations",
    lines: [{ sku: "tea", quantity: 3, unitPrice: 333 }],
    allocations: [
      { sku: "tea", locationId: "BER", quantity: 1 },
      { sku: "tea", locationId: "HAM", quantity: 2 },
    ],
    amounts: { BER: 333, HAM: 666 },
  },
  {
    name: "lines of the same article at different prices",
    lines: [
      { sku: "tea", quantity: 1, unitPrice: 100 },
      { sku: "tea", quantity: 2, unitPrice: 70 },
    ],
    allocations: [
      { sku: "tea", locationId: "BER", quantity: 2 },
      { sku: "tea", locationId: "HAM", quantity: 1 },
    ],
    amounts: { BER: 170, HAM: 70 },
  },
  {
    name: "the largest order there can be",
    lines: [{ sku: "ship", quantity: 10_000, unitPrice: 100_000_000 }],
    allocations: [
      { sku: "ship", locationId: "BER", quantity: 3_333 },
      { sku: "ship", locationId: "HAM", quantity: 6_667 },
    ],
    amounts: { BER: 333_300_000_000, HAM: 666_700_000_000 },
  },
  {
    name: "lines that cost more or less than their pieces",
    lines: [
      { sku: "tea", quantity: 3, unitPrice: 100, amount: 310 },
      { sku: "cup", quantity: 1, unitPrice: 500, amount: 489 },
    ],
    allocations: [
      { sku: "cup", locationId: "HAM", quantity: 1 },
      { sku: "tea", locationId: "BER", quantity: 1 },
      { sku: "tea", locationId: "HAM", quantity: 2 },
    ],
    amounts: { HAM: 696, BER: 103 },
  },
  {
    name: "pieces that cost nothing, with their part of the shipping",
    lines: [{ sku: "sample", quantity: 3, unitPrice: 0, amount: 500 }],
    allocations: [
      { sku: "sample", locationId: "BER", quantity: 1 },
      { sku: "sample", locationId: "HAM", quantity: 2 },
    ],
    amounts: { BER: 166, HAM: 334 },
  },
];

describe("the parcels of an order", () => {
  for (const { name, lines, allocations, amounts } of cases) {
    test(`cost what is in them: ${name}`, () => {
      const amount = lines.reduce((sum, line) => sum + (line.amount ?? line.quantity * line.unitPrice), 0);
      const parcels = planParcels(anOrder({ lines, total: { currency: "EUR", amount } }), allocations);
      assert.deepEqual(Object.fromEntries(parcels.map((parcel) => [parcel.locationId, parcel.amount])), amounts);
    });
  }

  test("sum to the total even when orders is of another version, and says less of prices", () => {
    const lines = [{ sku: "tea", quantity: 3, unitPrice: 100 }];
    const order = anOrder({ lines, total: { currency: "EUR", amount: 350 } });
    const parts = ["BER", "HAM", "MUC"].map((locationId) => ({ sku: "tea", locationId, quantity: 1 }));
    assert.deepEqual(
      planParcels(order, parts).map(({ amount }) => amount),
      [117, 117, 116],
    );
  });
});
