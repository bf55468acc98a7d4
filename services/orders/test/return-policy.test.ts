import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadConfig } from "#platform/config.ts";
import { ordersConfig } from "../src/config.ts";
import { returnReasons } from "../src/returns/order-return.ts";
import { ReturnPolicy, type ReturnPolicySettings } from "../src/returns/return-policy.ts";

const { RETURN_WINDOW_DAYS, RETURN_FINAL_SALE_SKUS, RETURN_APPROVE_BELOW_MAJOR_UNITS, RETURN_SHIPPING_FEE } =
  ordersConfig;
const shape = { RETURN_WINDOW_DAYS, RETURN_FINAL_SALE_SKUS, RETURN_APPROVE_BELOW_MAJOR_UNITS, RETURN_SHIPPING_FEE };

function policy(changes: Partial<ReturnPolicySettings> = {}): ReturnPolicy {
  return new ReturnPolicy({
    windowDays: 30,
    finalSale: new Set(["gift"]),
    approveBelow: 100,
    shipping: "fault",
    ...changes,
  });
}

const day = 86_400_000;
const now = new Date("2026-12-01T00:00:00Z");
const ago = (ms: number) => new Date(now.getTime() - ms);

describe("the policy of returns", () => {
  it("takes back until the last moment of the window, and not a moment longer", () => {
    assert.equal(policy().refusalOf(["tea"], ago(30 * day), now), undefined);
    assert.equal(policy().refusalOf(["tea"], ago(30 * day + 1), now), "WINDOW_OVER");
    assert.equal(policy().refusalOf(["tea"], undefined, now), undefined, "a part of it still is to arrive");
  });

  it("does not take back what is sold for good, nor anything where it is off", () => {
    assert.equal(policy().refusalOf(["tea", "gift"], ago(0), now), "FINAL_SALE");
    assert.equal(policy({ windowDays: undefined }).refusalOf(["tea"], ago(0), now), "OFF");
  });

  it("approves what is worth less than the bound, by the currency's minor unit", () => {
    const cases: [string, bigint, boolean][] = [
      ["EUR", 9_999n, true],
      ["EUR", 10_000n, false],
      ["JPY", 99n, true],
      ["JPY", 100n, false],
      ["BHD", 99_999n, true],
      ["BHD", 100_000n, false],
    ];
    for (const [currency, amount, is] of cases) assert.equal(policy().approves({ currency, amount }), is, currency);
    assert.equal(policy({ approveBelow: undefined }).approves({ currency: "EUR", amount: 0n }), false);
  });

  it("pays shipping back always, never, or when the shop is to blame", () => {
    for (const [reason, { isOurs }] of Object.entries(returnReasons)) {
      const of = reason as keyof typeof returnReasons;
      assert.equal(policy({ shipping: "always" }).paysShipping(of), true);
      assert.equal(policy({ shipping: "never" }).paysShipping(of), false);
      assert.equal(policy().paysShipping(of), isOurs, reason);
    }
  });

  it("counts as it is said anew", () => {
    const one = policy();
    one.use({ windowDays: undefined });
    assert.equal(one.refusalOf(["tea"], ago(0), now), "OFF");
    assert.equal(one.approves({ currency: "EUR", amount: 1n }), true, "what was not said stays");
  });

  it("is read from settings, with defaults that take back for a month what somebody has looked at", () => {
    const read = loadConfig(shape, {});
    assert.equal(read.RETURN_WINDOW_DAYS, 30);
    assert.deepEqual([...read.RETURN_FINAL_SALE_SKUS], []);
    assert.equal(read.RETURN_APPROVE_BELOW_MAJOR_UNITS, undefined);
    assert.equal(read.RETURN_SHIPPING_FEE, "always");
    const other = loadConfig(shape, {
      RETURN_WINDOW_DAYS: "off",
      RETURN_FINAL_SALE_SKUS: "gift-card, outlet.7",
      RETURN_APPROVE_BELOW_MAJOR_UNITS: "50",
      RETURN_SHIPPING_FEE: "never",
    });
    assert.equal(other.RETURN_WINDOW_DAYS, undefined);
    assert.deepEqual([...other.RETURN_FINAL_SALE_SKUS], ["gift-card", "outlet.7"]);
    assert.equal(other.RETURN_APPROVE_BELOW_MAJOR_UNITS, 50);
    for (const [name, value] of [
      ["RETURN_WINDOW_DAYS", "0"],
      ["RETURN_FINAL_SALE_SKUS", "a b"],
      ["RETURN_APPROVE_BELOW_MAJOR_UNITS", "-1"],
      ["RETURN_SHIPPING_FEE", "sometimes"],
    ] as const) {
      assert.throws(() => loadConfig(shape, { [name]: value }), new RegExp(name));
    }
  });
});
