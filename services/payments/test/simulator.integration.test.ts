import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { GatewayAmbiguousError, type GatewayAnswer, GatewayKeyReusedError } from "../src/gateway/gateway.ts";
import { type Harness, openHarness } from "./harness.ts";

const call = { signal: AbortSignal.timeout(60_000) };
const slowMs = 200;
let harness: Harness;

before(async () => {
  harness = await openHarness({ slowMs });
});
after(() => harness[Symbol.asyncDispose]());

const euros = (cardToken: string, amount = 1000n) => ({ cardToken, currency: "EUR", amount });

/** What a call comes to, with the kind of the error when it throws. */
async function told(answer: Promise<GatewayAnswer | undefined>): Promise<string> {
  try {
    const given = await answer;
    if (!given) return "unknown";
    return given.state === "declined" ? given.code : given.state;
  } catch (error) {
    assert.ok(error instanceof GatewayAmbiguousError, String(error));
    return "ambiguous";
  }
}

test("an authorization goes as its card says; the same key gives the same answer", async () => {
  const cases: [token: string, calls: string[], found: string][] = [
    ["tok_approve", ["approved", "approved"], "approved"],
    ["pm_anything", ["approved"], "approved"],
    ["tok_toString", ["approved"], "approved"],
    ["tok_decline", ["card_declined", "card_declined"], "card_declined"],
    ["tok_insufficient_funds", ["insufficient_funds", "insufficient_funds"], "insufficient_funds"],
    ["tok_timeout_after_success", ["ambiguous", "approved"], "approved"],
    ["tok_error_500", ["ambiguous", "ambiguous", "approved"], "approved"],
    ["tok_error_500_forever", ["ambiguous", "ambiguous", "ambiguous", "ambiguous"], "unknown"],
    ["tok_capture_decline", ["approved"], "approved"],
    ["tok_slow", ["approved"], "approved"],
  ];
  for (const [token, calls, found] of cases) {
    const key = randomUUID();
    assert.equal(await told(harness.simulator.find(key, call)), "unknown", token);
    for (const expected of calls) {
      assert.equal(await told(harness.simulator.authorize(key, euros(token), call)), expected, token);
    }
    assert.equal(await told(harness.simulator.find(key, call)), found, token);
  }
});

test("captures, voids and refunds go as the card says", async () => {
  const cases: [token: string, kind: "capture" | "void" | "refund", calls: string[]][] = [
    ["tok_approve", "capture", ["approved", "approved"]],
    ["tok_capture_timeout_after_success", "capture", ["ambiguous", "approved"]],
    ["tok_capture_error", "capture", ["ambiguous", "ambiguous", "approved"]],
    ["tok_capture_decline", "capture", ["card_declined", "card_declined"]],
    ["tok_void_timeout_after_success", "void", ["ambiguous", "approved"]],
    ["tok_void_error_500", "void", ["ambiguous", "ambiguous", "approved"]],
    ["tok_refund_decline", "refund", ["card_declined"]],
    ["tok_refund_timeout_after_success", "refund", ["ambiguous", "approved"]],
  ];
  for (const [token, kind, calls] of cases) {
    const authorized = await harness.simulator.authorize(randomUUID(), euros(token), call);
    assert.equal(authorized.state, "approved");
    const { reference } = authorized;
    if (kind === "refund") await harness.simulator.capture(randomUUID(), { reference, amount: 1000n }, call);
    const key = randomUUID();
    for (const expected of calls) {
      assert.equal(await told(harness.simulator[kind](key, { reference, amount: 600n }, call)), expected, token);
    }
  }
});

test("the gateway itself refuses more than there is, and keeps count once for each key", async () => {
  const key = randomUUID();
  const authorized = await harness.simulator.authorize(key, euros("tok_approve"), call);
  assert.equal(authorized.state, "approved");
  const { reference } = authorized;
  const capture = randomUUID();
  const ask = (kind: "capture" | "void" | "refund", amount: bigint, under: string = randomUUID()) =>
    told(harness.simulator[kind](under, { reference, amount }, call));
  assert.equal(await ask("capture", 600n, capture), "approved");
  assert.equal(await ask("capture", 600n, capture), "approved");
  assert.equal(await ask("capture", 600n), "amount_exceeds_authorization");
  assert.equal(await ask("refund", 601n), "amount_exceeds_capture");
  assert.equal(await ask("void", 400n), "approved");
  assert.equal(await ask("refund", 600n), "approved");
  assert.equal(await ask("refund", 1n), "amount_exceeds_capture");
  const unknown = { reference: "sim_nothing", amount: 1n };
  assert.equal(await told(harness.simulator.capture(randomUUID(), unknown, call)), "no_such_authorization");
  const [row] = await harness.admin("select captured, voided, refunded from simulator.gateway_record where key = $1", [
    key,
  ]);
  assert.deepEqual(row, { captured: "600", voided: "400", refunded: "600" });
});

test("another body under a key that was used is refused", async () => {
  const key = randomUUID();
  const first = await harness.simulator.authorize(key, euros("tok_approve"), call);
  assert.equal(first.state, "approved");
  const again = harness.simulator.authorize(key, euros("tok_approve", 999n), call);
  await assert.rejects(again, GatewayKeyReusedError);
  const { reference } = first;
  await assert.rejects(harness.simulator.void(key, { reference, amount: 1000n }, call), GatewayKeyReusedError);
});

test("a slow decision is processing until it is made, and a caller that gave up finds it later", async () => {
  const key = randomUUID();
  const began = performance.now();
  const impatient = { signal: AbortSignal.timeout(20) };
  assert.equal(await told(harness.simulator.authorize(key, euros("tok_slow"), impatient)), "ambiguous");
  assert.equal(await told(harness.simulator.find(key, call)), "processing");
  assert.equal(await told(harness.simulator.authorize(key, euros("tok_slow"), call)), "approved");
  assert.ok(performance.now() - began >= slowMs - 20);
  assert.equal(await told(harness.simulator.find(key, call)), "approved");
});
