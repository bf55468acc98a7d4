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
];

describe("the parcels of an order", () => {
  for (const { name, lines, allocations, amounts } of cases) {
    test(`cost what is in them: ${name}`, () => {
      const amount = lines.reduce((sum, line) => sum + line.quantity * line.unitPrice, 0);
      const parcels = planParcels(anOrder({ lines, total: { currency: "EUR", amount } }), allocations);
      assert.deepEqual(Object.fromEntries(parcels.map((parcel) => [parcel.locationId, parcel.amount])), amounts);
    });
  }
});
