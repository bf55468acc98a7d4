import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bucketOf, decodeId, newId, timeOf } from "#platform/id.ts";
import {
  isCancelled,
  isDecided,
  isTerminal,
  type OrderStatus,
  orderStatuses,
  sourcesOf,
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
  "shipped cancelled",
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
