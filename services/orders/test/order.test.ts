import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DomainError } from "#platform/errors.ts";
import { bucketOf, decodeId, newId, timeOf } from "#platform/id.ts";
import {
  isCancelled,
  isDecided,
  isTerminal,
  maxTotal,
  type OrderStatus,
  orderStatuses,
  sourcesOf,
  totalOf,
  transitions,
} from "../src/order/order.ts";
import { bucketOfCustomer, firstIdAt, newOrderId } from "../src/order/order-id.ts";

/** Every pair that is allowed; all others are not. */
const allowed = new Set([
  "pending confirmed",
  "pending rejected",
  "pending cancelled",
  "confirmed preparing",
  "confirmed cancelled",
  "confirmed failed",
  "preparing shipped",
  "preparing cancelled",
  "preparing failed",
  "shipped delivered",
  "shipped failed",
]);
const terminal: OrderStatus[] = ["delivered", "rejected", "cancelled", "failed"];

describe("transitions of an order", () => {
  for (const from of orderStatuses) {
    for (const to of orderStatuses) {
      const is = allowed.has(`${from} ${to}`);
      it(`${is ? "go" : "do not go"} from ${from} to ${to}`, () => {
        assert.equal(sourcesOf(to).includes(from), is);
        assert.equal(
          transitions[from].some((next) => next === to),
          is,
        );
      });
    }
  }

  it("end, are decided and are cancelled where the contract says", () => {
    assert.deepEqual(orderStatuses.filter(isTerminal), terminal);
    assert.deepEqual(
      orderStatuses.filter((status) => !isDecided(status)),
      ["pending"],
    );
    assert.deepEqual(orderStatuses.filter(isCancelled), ["cancelled"]);
  });

  it("reach every status from pending, and an end from every status", () => {
    const reachable = (from: OrderStatus): OrderStatus[] => [from, ...transitions[from].flatMap(reachable)];
    assert.deepEqual(new Set(reachable("pending")), new Set(orderStatuses));
    for (const status of orderStatuses) assert.ok(reachable(status).some(isTerminal), status);
  });
});

function line(amount: bigint, quantity = 1, currency = "EUR") {
  return { quantity, unitPrice: { currency, amount } };
}

function reasonOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return `${error.reasonName} ${JSON.stringify(error.metadata)}`;
    throw error;
  }
  return "";
}

describe("the total of an order", () => {
  it("sums quantities times prices in minor units", () => {
    assert.deepEqual(totalOf([line(1850n, 2), line(1000n)]), { currency: "EUR", amount: 4700n });
    assert.deepEqual(totalOf([line(0n, 10_000, "JPY")]), { currency: "JPY", amount: 0n });
  });

  it("is exact beyond what a double holds, up to the bound", () => {
    const cents = Array.from({ length: 99 }, () => line(10_101_010_101n));
    assert.deepEqual(totalOf([...cents, line(1n)]), { currency: "EUR", amount: maxTotal });
    assert.equal(
      reasonOf(() => totalOf([...cents, line(2n)])),
      'TOTAL_TOO_LARGE {"maximum":"1000000000000"}',
    );
  });

  it("does not wrap around with the largest lines that the contract takes", () => {
    const largest = Array.from({ length: 100 }, () => line(maxTotal, 10_000));
    assert.match(
      reasonOf(() => totalOf(largest)),
      /^TOTAL_TOO_LARGE/,
    );
  });

  it("has one currency", () => {
    const mixed = [line(1n, 1, "USD"), line(1n), line(1n, 1, "USD")];
    assert.equal(
      reasonOf(() => totalOf(mixed)),
      'CURRENCY_MISMATCH {"currencies":"EUR,USD"}',
    );
  });
});

describe("order ids", () => {
  it("carry their time and their customer's bucket", () => {
    const customerId = newId();
    const before = Date.now();
    const ids = Array.from({ length: 100 }, () => newOrderId(customerId));
    for (const id of ids) {
      assert.equal(bucketOf(id), bucketOfCustomer(customerId));
      assert.ok(timeOf(id).getTime() >= before && timeOf(id).getTime() <= Date.now());
    }
    assert.equal(new Set(ids).size, ids.length);
  });

  it("spread customers over the buckets", () => {
    const buckets = Array.from({ length: 4_000 }, () => bucketOfCustomer(newId()) >> 12);
    for (let part = 0; part < 16; part += 1) {
      const share = buckets.filter((bucket) => bucket === part).length;
      assert.ok(share > 150 && share < 350, `part ${part} has ${share} of 4,000`);
    }
  });

  it("have bounds by time", () => {
    const id = newOrderId(newId());
    const ms = timeOf(id).getTime();
    assert.ok(firstIdAt(ms) <= decodeId(id) && decodeId(id) < firstIdAt(ms + 1));
    assert.equal(firstIdAt(-5), "00000000-0000-0000-0000-000000000000");
    assert.equal(firstIdAt(Number.MAX_SAFE_INTEGER), "ffffffff-ffff-0000-0000-000000000000");
  });
});
