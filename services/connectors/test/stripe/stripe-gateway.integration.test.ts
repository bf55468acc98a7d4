import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Registry } from "prom-client";
import { OperationRepository } from "../../src/stripe/operation.repository.ts";
import type { Asked } from "../../src/stripe/operation.ts";
import type { ComposedStripe } from "../../src/stripe/stripe.ts";
import type { Fault } from "./fake-stripe.ts";
import { aCard, authorization, change, customersOf, openWorld, said, settle, type World } from "./world.ts";

let world: World;
let connector: ComposedStripe;

before(async () => {
  world = await openWorld();
  connector = world.process();
});
after(() => world?.[Symbol.asyncDispose]());
beforeEach(() => world.fake.calm());

/** An authorization that is approved, by its reference. */
async function held(given: Partial<Asked> = {}, process = connector): Promise<{ key: string; reference: string }> {
  const asked = authorization(given);
  const outcome = await settle(process, asked);
  assert.ok(outcome.state === "approved", said(outcome));
  return { key: asked.key, reference: outcome.reference };
}

const decide = async (asked: Asked) => said(await settle(connector, asked));

/** What the fake has of a payment: status, captured, held. */
function fakes(key: string) {
  const { status, received, held } = world.fake.intentOf(key);
  return [status, received, held];
}

test("an authorization goes as its card says, and holds nothing unless it is approved", async () => {
  const cases: [card: string, outcome: string, status: string | undefined][] = [
    ["pm_card_visa", "approved", "requires_capture"],
    // These cannot be attached to a customer, so that there is no payment.
    ["pm_card_chargeDeclined", "generic_decline", undefined],
    ["pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds", undefined],
    ["pm_card_chargeCustomerFail", "generic_decline", "requires_payment_method"],
    ["pm_card_offSession", "requires_action", "requires_payment_method"],
    ["pm_card_authenticationRequired", "requires_action", "canceled"],
    ["pm_card_oneCapture", "multicapture_unavailable", "canceled"],
  ];
  for (const [cardToken, outcome, status] of cases) {
    const asked = authorization({ cardToken });
    for (let round = 0; round < 2; round += 1)
      assert.equal(said(await connector.gateway.execute(asked)), outcome, cardToken);
    assert.equal(said(await connector.gateway.find(asked)), outcome, cardToken);
    const payments = [...world.fake.intents.values()].filter(({ metadata }) => metadata.key === asked.key);
    const holds = outcome === "approved" ? 1_000 : 0;
    const expected = status === undefined ? [] : [[status, holds]];
    assert.deepEqual(
      payments.map((payment) => [payment.status, payment.held]),
      expected,
      cardToken,
    );
  }
  assert.equal(await decide(authorization({ cardToken: "tok_visa" })), "resource_missing");
});

test("a hold says until when it is", async () => {
  const outcome = await settle(connector, authorization());
  assert.ok(outcome.state === "approved");
  assert.deepEqual(outcome.holdExpireTime, new Date(1_900_000_000_000));
});

test("parts are captured; the last one, whoever says it, gives free what was voided", async () => {
  const cases: [
    changes: [kind: "capture" | "void", amount: bigint][],
    received: number,
    status: string,
    final: boolean,
  ][] = [
    [
      [
        ["capture", 300n],
        ["capture", 700n],
      ],
      1_000,
      "succeeded",
      false,
    ],
    [
      [
        ["capture", 300n],
        ["void", 700n],
      ],
      300,
      "succeeded",
      false,
    ],
    [
      [
        ["void", 700n],
        ["capture", 300n],
      ],
      300,
      "succeeded",
      false,
    ],
    [
      [
        ["void", 400n],
        ["capture", 300n],
        ["capture", 300n],
      ],
      600,
      "succeeded",
      false,
    ],
    [
      [
        ["void", 400n],
        ["void", 600n],
      ],
      0,
      "canceled",
      false,
    ],
    [[["void", 1_000n]], 0, "canceled", false],
    [[["capture", 300n]], 300, "succeeded", true],
    [
      [
        ["capture", 200n],
        ["void", 100n],
      ],
      200,
      "succeeded",
      true,
    ],
  ];
  for (const [changes, received, status, final] of cases) {
    const { key, reference } = await held();
    for (const [index, [kind, amount]] of changes.entries()) {
      const isLast = index === changes.length - 1;
      assert.equal(await decide(change(kind, reference, amount, { final: final && isLast })), "approved");
      if (!isLast) assert.equal(fakes(key)[0], "requires_capture");
    }
    assert.deepEqual(
      fakes(key),
      [status, received, 0],
      JSON.stringify(changes.map(([kind, amount]) => `${kind} ${amount}`)),
    );
  }
});

test("no more is moved than there is", async () => {
  const { reference } = await held();
  const cases: [Asked, string][] = [
    [change("capture", reference, 1_001n), "amount_exceeds_authorization"],
    [change("refund", reference, 1n), "amount_exceeds_capture"],
    [change("capture", reference, 600n), "approved"],
    [change("void", reference, 401n), "amount_exceeds_authorization"],
    [change("refund", reference, 601n), "amount_exceeds_capture"],
    [change("refund", reference, 250n), "approved"],
    [change("refund", reference, 351n), "amount_exceeds_capture"],
    [change("refund", reference, 350n), "approved"],
    [change("capture", reference, 1n, { currency: "USD" }), "currency_mismatch"],
    [change("capture", "pi_nothing", 1n), "no_such_authorization"],
    [change("capture", "", 1n), "no_such_authorization"],
  ];
  for (const [asked, outcome] of cases) assert.equal(await decide(asked), outcome, outcome);
});

test("currencies are counted as Stripe counts them", async () => {
  const process = world.process({ STRIPE_CURRENCIES: "EUR,JPY,ISK,KWD,MGA" });
  const cases: [currency: string, amount: bigint, outcome: string, asStripe?: number][] = [
    ["JPY", 500n, "approved", 500],
    ["JPY", 49n, "amount_too_small"],
    ["ISK", 500n, "approved", 50_000],
    ["KWD", 1_230n, "approved", 1_230],
    ["KWD", 1_235n, "amount_not_supported"],
    ["MGA", 1_200n, "approved", 12],
    ["MGA", 1_250n, "amount_not_supported"],
    ["EUR", 999_999_999_999n, "approved", 999_999_999_999],
    ["EUR", 1_000_000_000_000n, "amount_not_supported"],
    ["USD", 100n, "currency_not_supported"],
  ];
  for (const [currency, amount, outcome, counted] of cases) {
    const asked = authorization({ currency, amount });
    assert.equal(said(await settle(process, asked)), outcome, `${amount} ${currency}`);
    if (counted !== undefined) assert.equal(world.fake.intentOf(asked.key).amount, counted);
  }
});

const faults: readonly Fault[] = ["before", "after", "fails", "failsAfter", "limited", "hangs", "late", "garbled"];

for (const fault of faults) {
  test(`whatever request goes wrong (${fault}), there is one effect`, async () => {
    const spoil = (endpoint: string) => world.fake.fault(endpoint, fault, fault);
    for (const endpoint of ["customer", "create", "confirm"]) {
      spoil(endpoint);
      const { key } = await held({ cardToken: aCard() });
      assert.deepEqual(fakes(key), ["requires_capture", 0, 1_000], endpoint);
      const { method, customer } = world.fake.intentOf(key);
      assert.deepEqual(customersOf(world.fake, method), [customer], endpoint);
    }
    const { key, reference } = await held();
    for (const [amount, final] of [
      [300n, false],
      [500n, true],
    ] as const) {
      spoil("capture");
      assert.equal(await decide(change("capture", reference, amount, { final })), "approved");
    }
    assert.deepEqual(fakes(key), ["succeeded", 800, 0]);
    spoil("refund");
    assert.equal(await decide(change("refund", reference, 200n)), "approved");
    assert.equal(world.fake.intentOf(key).refunded, 200);
    const other = await held();
    spoil("cancel");
    assert.equal(await decide(change("void", other.reference, 1_000n)), "approved");
    assert.deepEqual(fakes(other.key), ["canceled", 0, 0]);
  });
}

test("an answer that is lost is read from the payment, also when Stripe has forgotten the key", async () => {
  const { key, reference } = await held();
  const capture = change("capture", reference, 400n);
  world.fake.fault("capture", "after", "after");
  await connector.gateway.execute(capture);
  world.fake.forgetKeys();
  assert.equal(said(await settle(connector, capture, true)), "approved");
  assert.deepEqual(fakes(key), ["requires_capture", 400, 600]);
  const refund = change("refund", reference, 100n);
  world.fake.fault("refund", "failsAfter");
  await connector.gateway.execute(refund);
  world.fake.forgetKeys();
  assert.equal(said(await settle(connector, refund, true)), "approved");
  assert.equal(world.fake.intentOf(key).refunded, 100);
});

test("what is held and cannot be used is given free although Stripe has failed to do so, and says that again under the same key", async () => {
  const asked = authorization({ cardToken: aCard("oneCapture") });
  world.fake.fault("cancel", "fails");
  assert.equal(await decide(asked), "multicapture_unavailable");
  assert.deepEqual(fakes(asked.key), ["canceled", 0, 0]);
});

test("a request that arrives when it was taken for lost, and another one was sent, has no second effect", async () => {
  world.fake.hangMs = 600;
  const { key, reference } = await held();
  world.fake.fault("capture", "late");
  assert.equal(await decide(change("capture", reference, 300n)), "approved");
  assert.deepEqual(fakes(key), ["requires_capture", 300, 700]);
  world.fake.fault("refund", "late");
  assert.equal(await decide(change("refund", reference, 100n)), "approved");
  const arrived = world.fake.requests.length;
  await delay(900);
  assert.equal(world.fake.requests.length, arrived);
  assert.deepEqual(fakes(key), ["requires_capture", 300, 700]);
  assert.equal(world.fake.intentOf(key).refunded, 100);
  assert.equal(await decide(change("capture", reference, 700n, { final: true })), "approved");
});

test("nothing is believed to have had no effect before a while is over", async () => {
  const patient = world.process({ STRIPE_SETTLE_MS: "3000" });
  const { key, reference } = await held();
  const capture = change("capture", reference, 400n);
  world.fake.hangMs = 1_500;
  world.fake.fault("capture", "hangs");
  assert.equal(said(await patient.gateway.execute(capture)), "undetermined");
  assert.equal(said(await patient.gateway.find(capture)), "undetermined");
  assert.equal(said(await settle(patient, capture, true)), "approved");
  assert.equal(world.fake.requests.filter((line) => line.includes(capture.key)).length, 1);
  assert.deepEqual(fakes(key), ["requires_capture", 400, 600]);
});

test("a capture waits for the one before it whose answer was lost, so that the two can be told apart", async () => {
  const patient = world.process({ STRIPE_SETTLE_MS: "3000" });
  const { key, reference } = await held();
  const [first, second] = [change("capture", reference, 400n), change("capture", reference, 400n)];
  world.fake.hangMs = 1_500;
  world.fake.fault("capture", "hangs");
  assert.equal(said(await patient.gateway.execute(first)), "undetermined");
  assert.equal(said(await patient.gateway.execute(second)), "processing");
  assert.equal(said(await settle(patient, second, true)), "approved");
  assert.equal(said(await settle(patient, first, true)), "approved");
  assert.deepEqual(fakes(key), ["requires_capture", 800, 200]);
});

test("what somebody captured in the console is not taken for an operation of ours, and is counted", async () => {
  const { key, reference } = await held();
  const capture = change("capture", reference, 400n);
  const registry = new Registry();
  const { gateway } = world.process({}, registry);
  world.fake.fault("capture", "before", "before");
  await gateway.execute(capture);
  const intent = world.fake.intentOf(key);
  intent.received += 150;
  intent.held -= 150;
  for (let round = 0; round < 3; round += 1) assert.equal(said(await gateway.find(capture)), "undetermined");
  assert.match(await registry.metrics(), /^stripe_captures_unclear_total 3$/m);
});

test("a hold that has ended cannot be captured, and need not be voided", async () => {
  const [gone, half] = [await held(), await held()];
  world.fake.expire(world.fake.intentOf(gone.key));
  assert.equal(await decide(change("capture", gone.reference, 400n)), "hold_ended");
  assert.equal(await decide(change("void", gone.reference, 1_000n)), "approved");
  assert.equal(await decide(change("capture", half.reference, 400n)), "approved");
  world.fake.expire(world.fake.intentOf(half.key));
  assert.equal(await decide(change("void", half.reference, 600n)), "approved");
  assert.deepEqual(fakes(half.key), ["succeeded", 400, 0]);
});

test("a refund that Stripe takes its time for is processing until it is decided", async () => {
  const { key, reference } = await held();
  await settle(connector, change("capture", reference, 1_000n));
  const cases: [status: string, outcome: string][] = [
    ["succeeded", "approved"],
    ["failed", "lost_or_stolen_card"],
  ];
  for (const [status, outcome] of cases) {
    world.fake.refundStatus = "pending";
    const asked = change("refund", reference, 100n);
    assert.equal(said(await connector.gateway.execute(asked)), "processing");
    assert.equal(said(await connector.gateway.find(asked)), "processing");
    world.fake.refundStatus = "succeeded";
    const refund = [...world.fake.refunds.values()].find(({ metadata }) => metadata.key === asked.key);
    assert.ok(refund);
    refund.status = status;
    refund.failure_reason = status === "failed" ? "lost_or_stolen_card" : null;
    assert.equal(said(await settle(connector, asked, true)), outcome);
  }
  assert.equal(world.fake.intentOf(key).status, "succeeded");
});

test("replicas and repetitions of the same operation have one effect", async () => {
  const others = [connector, world.process(), world.process()];
  const { key, reference } = await held();
  const captures = [change("capture", reference, 300n), change("capture", reference, 200n)];
  const sends = captures.flatMap((asked) =>
    others.flatMap((each) => [each, each].map(({ gateway }) => gateway.execute(asked))),
  );
  await Promise.all(sends);
  for (const asked of captures) assert.equal(said(await settle(connector, asked, true)), "approved");
  assert.deepEqual(fakes(key), ["requires_capture", 500, 500]);
});

test("what was held when the account captured in parts is captured and freed in parts when it captures once", async () => {
  const before = world.process();
  const asked = authorization();
  const outcome = await settle(before, asked);
  assert.ok(outcome.state === "approved");
  const { reference } = outcome;
  assert.equal(said(await settle(before, change("capture", reference, 100n))), "approved");

  const once = world.process({ STRIPE_MULTICAPTURE: "false" });
  assert.equal(said(await settle(once, change("capture", reference, 300n))), "approved");
  assert.equal(said(await settle(once, change("void", reference, 200n))), "approved");
  assert.deepEqual(fakes(asked.key), ["requires_capture", 400, 600]);
  // What nobody knew of, and is asked for after the change, is captured once.
  const later = authorization();
  assert.equal(said(await settle(once, later)), "approved");
  assert.equal(world.fake.intentOf(later.key).wantsParts, false);
  assert.equal(said(await settle(once, change("capture", reference, 400n))), "approved");
  assert.deepEqual(fakes(asked.key), ["succeeded", 800, 0]);
});

test("an authorization whose process died before it was sent is asked for as it was written down, whatever the account can since", async () => {
  const asked = authorization();
  await new OperationRepository(world.test.database, 1_000, 50).begin(asked);
  const once = world.process({ STRIPE_MULTICAPTURE: "false" });
  assert.equal(said(await settle(once, asked)), "approved");
  const { wantsParts, id } = world.fake.intentOf(asked.key);
  assert.equal(wantsParts, true);
  assert.equal(said(await settle(once, change("capture", id, 300n))), "approved");
  assert.deepEqual(fakes(asked.key), ["requires_capture", 300, 700]);
});

test("what was held when the account captured once is captured when it captures in parts: its only capture is the last", async () => {
  const once = world.process({ STRIPE_MULTICAPTURE: "false" });
  const asked = authorization();
  assert.equal(said(await settle(once, asked)), "approved");
  const { id } = world.fake.intentOf(asked.key);
  assert.equal(said(await settle(world.process(), change("capture", id, 400n, { final: true }))), "approved");
  const { received, held, status } = world.fake.intentOf(asked.key);
  assert.deepEqual([received, held, status], [400, 0, "succeeded"]);
});

test("an account that captures once says so, and refuses what it cannot do before it is sent", async () => {
  const once = world.process({ STRIPE_MULTICAPTURE: "false" });
  assert.equal(once.api.getCapabilities().maxCaptures, 1);
  const asked = authorization();
  const outcome = await settle(once, asked);
  assert.ok(outcome.state === "approved");
  const { reference } = outcome;
  assert.equal(said(await settle(once, change("capture", reference, 300n))), "too_many_captures");
  assert.equal(said(await settle(once, change("void", reference, 200n))), "approved");
  assert.equal(said(await settle(once, change("capture", reference, 800n))), "approved");
  assert.deepEqual(fakes(asked.key), ["succeeded", 800, 0]);
  assert.equal(world.fake.intentOf(asked.key).wantsParts, false);
});

test("a key of no use declines nobody's card", async () => {
  const barred = world.process({ STRIPE_SECRET_KEY: "rk_test_barred" });
  const asked = authorization();
  assert.equal(said(await barred.gateway.execute(asked)), "not_executed");
  assert.equal(said(await settle(connector, asked, true)), "approved");
});

test("more than Stripe takes in a second is not sent", async () => {
  const registry = new Registry();
  const slow = world.process({ STRIPE_ENDPOINT_REQUESTS_PER_SECOND: "2", STRIPE_TIMEOUT_MS: "5000" }, registry);
  // Its customer is known.
  assert.equal(await decide(authorization()), "approved");
  const before = world.fake.count("create");
  const outcomes = await Promise.all(Array.from({ length: 12 }, () => slow.gateway.execute(authorization())));
  const sent = world.fake.count("create") - before;
  assert.ok(sent >= 5 && sent < 12, `${sent} were sent`);
  const held = outcomes.filter((outcome) => outcome.state === "not_executed").length;
  assert.ok(held > 0);
  const metrics = await registry.metrics();
  assert.ok(metrics.includes(`stripe_requests_held_total{endpoint="create"} ${held}`), metrics);
  assert.ok(metrics.includes(`stripe_request_seconds_count{endpoint="create",answer="done"} ${sent}`), metrics);
});

test("what has waited for its turn while its process was frozen is not sent: somebody else may have gone on with it", async () => {
  const { reference } = await held();
  const { requests } = world.process({ STRIPE_ENDPOINT_REQUESTS_PER_SECOND: "2", STRIPE_TIMEOUT_MS: "2000" });
  const before = world.fake.count("retrieve");
  // Six go at once, the next half a second later.
  const asked = Array.from({ length: 7 }, () => requests.retrieve(reference));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
  const answers = await Promise.all(asked);
  assert.deepEqual(
    answers.map((answer) => answer.said),
    [...Array.from({ length: 6 }, () => "done"), "unsent"],
  );
  assert.equal(world.fake.count("retrieve") - before, 6);
});
