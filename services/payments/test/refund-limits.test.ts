import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, loadConfig } from "#platform/config.ts";
import { paymentsConfig, refundsTogether } from "../src/config.ts";
import { exceedsCapture } from "../src/payment/errors.ts";
import type { Payment } from "../src/payment/payment.ts";
import { RefundJudge } from "../src/refund/refund-judge.ts";
import { RefundLimits } from "../src/refund/refund-limits.ts";

function limitsOf(variables: Record<string, string> = {}): RefundLimits {
  const config = loadConfig(
    paymentsConfig,
    { DATABASE_URL: "postgres://a:b@c/d", GATEWAY_CONNECTOR_ADDRESS: "gateway:1", ...variables },
    refundsTogether,
  );
  return new RefundLimits({
    majorUnits: config.REFUND_LIMIT_MAJOR_UNITS,
    minorUnits: config.REFUND_LIMITS_MINOR_UNITS,
  });
}

test("the limit is in minor units of each currency, as many as it has", () => {
  const cases: [Record<string, string>, currency: string, bigint | undefined][] = [
    [{}, "EUR", 50_000n],
    [{}, "KWD", 500_000n],
    [{}, "CLP", 500n],
    [{}, "JPY", 50_000n],
    // A payment of before may be in a currency that nobody pays with.
    [{}, "XXX", 500n],
    [{ REFUND_LIMIT_MAJOR_UNITS: "0" }, "EUR", 0n],
    [{ REFUND_LIMIT_MAJOR_UNITS: "0" }, "JPY", 50_000n],
    [{ REFUND_LIMIT_MAJOR_UNITS: "off" }, "EUR", undefined],
    [{ REFUND_LIMIT_MAJOR_UNITS: "off" }, "JPY", 50_000n],
    [{ REFUND_LIMITS_MINOR_UNITS: '{"EUR":1,"USD":"off","CHF":"7"}' }, "EUR", 1n],
    [{ REFUND_LIMITS_MINOR_UNITS: '{"EUR":1,"USD":"off","CHF":"7"}' }, "USD", undefined],
    [{ REFUND_LIMITS_MINOR_UNITS: '{"EUR":1,"USD":"off","CHF":"7"}' }, "CHF", 7n],
    [{ REFUND_LIMITS_MINOR_UNITS: "{}" }, "JPY", 500n],
  ];
  for (const [variables, currency, expected] of cases) {
    assert.equal(limitsOf(variables).of(currency), expected, `${JSON.stringify(variables)} ${currency}`);
  }
});

test("what is no limit is refused, and named", () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ REFUND_LIMIT_MAJOR_UNITS: "-1" }, /REFUND_LIMIT_MAJOR_UNITS: must be a whole number of units, or off/],
    [{ REFUND_LIMIT_MAJOR_UNITS: "1.5" }, /must be a whole number/],
    [{ REFUND_LIMIT_MAJOR_UNITS: "1e3" }, /must be a whole number/],
    [{ REFUND_LIMIT_MAJOR_UNITS: "99999999999999" }, /must be a whole number/],
    [{ REFUND_LIMITS_MINOR_UNITS: "500" }, /REFUND_LIMITS_MINOR_UNITS: must be limits by currency/],
    [{ REFUND_LIMITS_MINOR_UNITS: "EUR=500" }, /REFUND_LIMITS_MINOR_UNITS: is no JSON/],
    [{ REFUND_LIMITS_MINOR_UNITS: '{"eur":1}' }, /eur is no currency that people pay with/],
    [{ REFUND_LIMITS_MINOR_UNITS: '{"EUR":null}' }, /EUR must be a whole number/],
    [{ REFUND_APPROVAL_WITHIN_MS: "0" }, /REFUND_APPROVAL_WITHIN_MS/],
    [
      { REFUND_APPROVAL_WITHIN_MS: "604800000", REQUEST_ID_RETENTION_MS: "604799999" },
      /REFUND_APPROVAL_WITHIN_MS: is longer than REQUEST_ID_RETENTION_MS/,
    ],
  ];
  for (const [variables, expected] of cases) {
    assert.throws(
      () => limitsOf(variables),
      (error) => error instanceof ConfigError && expected.test(error.message),
      JSON.stringify(variables),
    );
  }
  assert.ok(limitsOf({ REFUND_APPROVAL_WITHIN_MS: "604800000", REQUEST_ID_RETENTION_MS: "604800000" }));
});

test("what goes alone counts for the next of the same payment, and so does what waits", () => {
  const limits = new RefundLimits({ majorUnits: 5, minorUnits: {} });
  const payment = {
    paymentId: "P",
    currency: "EUR",
    captured: 2_000n,
    refunded: 0n,
    refunding: 0n,
    credited: 0n,
  } as Payment;
  const judge = new RefundJudge(limits, new Map([["Q", { alone: 500n, waiting: 0n }]]));
  assert.equal(judge.judge(payment, 501n), "waiting");
  assert.equal(judge.judge(payment, 300n), "alone");
  assert.equal(judge.judge(payment, 201n), "waiting");
  assert.equal(judge.judge(payment, 200n), "alone");
  assert.equal(judge.judge(payment, 1n), "waiting");
  assert.equal(judge.judge({ ...payment, paymentId: "Q" }, 1n), "waiting");
  // 2,000 less the 703 that wait; what is set aside is in the payment itself.
  assert.deepEqual(judge.judge(payment, 1_298n), exceedsCapture(payment, 1_298n, 1_297n));
  assert.equal(judge.judge(payment, 1_297n), "waiting");
  assert.deepEqual(judge.judge({ ...payment, refunding: 500n }, 1n), exceedsCapture(payment, 1n, 0n));
  limits.use({ majorUnits: "off" });
  assert.equal(judge.judge(payment, 1_999n), "alone");
});
