import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PaymentErrorReason as Reason } from "#gen/shop/payments/v1/payment_error_reason_pb.js";
import { DomainError } from "#platform/errors.ts";
import { newId } from "#platform/id.ts";
import type { MoneyMover } from "../src/move/money-mover.ts";
import { statusOf } from "../src/payment/payment.ts";
import { authorization, change, gatewayWith, type Harness, openHarness } from "./harness.ts";

let harness: Harness;
let mover: MoneyMover;

before(async () => {
  harness = await openHarness();
  mover = harness.mover();
});
after(() => harness[Symbol.asyncDispose]());

/** Expects a refusal with these metadata. */
async function refuses(call: Promise<unknown>, reason: string, metadata: Record<string, string> = {}): Promise<void> {
  const error = await call.then(
    () => assert.fail(`${reason} is missing`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof DomainError, String(error));
  assert.equal(error.reasonName, reason);
  for (const [name, value] of Object.entries(metadata)) assert.equal(error.metadata[name], value, name);
}

/** An authorized payment's id. */
async function authorized(amount = 1000n, cardToken = "tok_approve"): Promise<string> {
  const { payment } = await mover.authorize(authorization({ amount, cardToken }));
  assert.equal(statusOf(payment), "authorized");
  return payment.paymentId;
}

async function ledgerOf(paymentId: string): Promise<string[]> {
  const entries = await harness.payments.listEntries({ paymentId, limit: 100, before: undefined });
  return entries.reverse().map(({ kind, debitAccount, creditAccount, amount }) => {
    return `${kind}: ${creditAccount} → ${debitAccount} ${amount}`;
  });
}

test("authorize, capture twice, void the rest, refund: the ledger says it all", async () => {
  const id = await authorized();
  await mover.change(change("capture", id, { amount: 300n }));
  await mover.change(change("capture", id, { amount: 200n }));
  const voided = await mover.change(change("void", id));
  assert.deepEqual([statusOf(voided.payment), voided.payment.voided, voided.pending], ["captured", 500n, false]);
  await mover.change(change("refund", id, { amount: 100n }));
  const { payment } = await mover.change(change("refund", id));
  assert.deepEqual([statusOf(payment), payment.refunded], ["refunded", 500n]);
  assert.deepEqual(await harness.payments.get(id), payment);
  assert.deepEqual(await ledgerOf(id), [
    "authorization: held_for_customers → authorized_funds 1000",
    "authorization_end: authorized_funds → held_for_customers 300",
    "capture: sales → gateway_clearing 300",
    "authorization_end: authorized_funds → held_for_customers 200",
    "capture: sales → gateway_clearing 200",
    "authorization_end: authorized_funds → held_for_customers 500",
    "refund: gateway_clearing → refunds 100",
    "refund: gateway_clearing → refunds 400",
  ]);
  await harness.assertBalance();
});

test("what is not there is refused, with what is", async () => {
  const id = await authorized();
  await refuses(mover.change(change("capture", newId(), { amount: 1n })), "PAYMENT_NOT_FOUND");
  await refuses(mover.change(change("refund", newId(), { amount: 1n })), "PAYMENT_NOT_FOUND");
  const exceeds = { payment_id: id, available: "1000" };
  await refuses(mover.change(change("capture", id, { amount: 1001n })), "AMOUNT_EXCEEDS_AUTHORIZATION", exceeds);
  await refuses(mover.change(change("void", id, { amount: 1001n })), "AMOUNT_EXCEEDS_AUTHORIZATION", exceeds);
  await refuses(mover.change(change("refund", id)), "AMOUNT_EXCEEDS_CAPTURE", { available: "0" });
  const dollars = { ...change("capture", id), amount: { currency: "USD", amount: 1n } };
  await refuses(mover.change(dollars), "CURRENCY_MISMATCH", { payment_id: id, currency: "EUR" });
  await mover.change(change("capture", id, { amount: 1000n }));
  const nothing = { payment_id: id, status: "CAPTURED" };
  await refuses(mover.change(change("capture", id, { amount: 1n })), "NOT_AUTHORIZED", nothing);
  await refuses(mover.change(change("refund", id, { amount: 1001n })), "AMOUNT_EXCEEDS_CAPTURE", {
    available: "1000",
  });
  const free = await mover.change(change("void", id));
  assert.deepEqual([free.payment.voided, free.pending], [0n, false]);
  await harness.assertBalance();
});

test("a declined payment stays declined; voiding it succeeds", async () => {
  const input = authorization({ cardToken: "tok_insufficient_funds" });
  const why = { payment_id: input.paymentId, decline_code: "insufficient_funds" };
  await refuses(mover.authorize(input), "PAYMENT_DECLINED", why);
  await refuses(mover.authorize(input), "PAYMENT_DECLINED", why);
  await refuses(mover.change(change("capture", input.paymentId, { amount: 1n })), "NOT_AUTHORIZED", {
    status: "DECLINED",
  });
  const { payment, pending } = await mover.change(change("void", input.paymentId));
  assert.deepEqual([statusOf(payment), pending], ["declined", false]);
  assert.deepEqual(await ledgerOf(input.paymentId), []);
});

test("whatever texts the gateway writes, what it decided is kept", async () => {
  const odd = `a\u0000b\ud800${"x".repeat(5_000)}`;
  await using alone = await openHarness();
  const gateway = gatewayWith(alone, {
    execute: async ({ kind }) =>
      kind === "capture" ? { state: "declined", code: odd } : { state: "approved", reference: odd },
  });
  const own = alone.mover({ gateway });
  const { payment } = await own.authorize(authorization());
  assert.equal(statusOf(payment), "authorized");
  assert.deepEqual([payment.gatewayReference.slice(0, 4), payment.gatewayReference.length], ["a?b\ufffd", 255]);
  const asked = change("capture", payment.paymentId, { amount: 700n });
  const code = `a?b\ufffd${"x".repeat(60)}`;
  for (const _ of ["first", "repeated"]) await refuses(own.change(asked), "PAYMENT_DECLINED", { decline_code: code });
  await own.change(change("void", payment.paymentId));
  assert.equal((await alone.operations.backlog()).undecided, 0);
});

test("a refused capture gives its amount free again", async () => {
  const id = await authorized(1000n, "tok_capture_decline");
  const asked = change("capture", id, { amount: 700n });
  await refuses(mover.change(asked), "PAYMENT_DECLINED", { decline_code: "card_declined" });
  await refuses(mover.change(asked), "PAYMENT_DECLINED");
  const { payment } = await mover.change(change("void", id));
  assert.deepEqual([statusOf(payment), payment.voided], ["voided", 1000n]);
  await harness.assertBalance();
});

test("a repeated request gets the first answer, also after things moved on; another body is refused", async () => {
  const input = authorization();
  const first = await mover.authorize(input);
  const capture = change("capture", input.paymentId, { amount: 400n });
  const captured = await mover.change(capture);
  await mover.change(change("void", input.paymentId));
  assert.deepEqual(await answer(mover.authorize(input)), await answer(Promise.resolve(first)));
  assert.deepEqual(await answer(mover.change(capture)), await answer(Promise.resolve(captured)));
  const other = authorization({ ...input, amount: 999n });
  await refuses(mover.authorize(other), "REQUEST_ID_REUSED", { request_id: input.requestId });
  const more = { ...change("capture", input.paymentId, { amount: 401n }), requestId: capture.requestId };
  await refuses(mover.change(more), "REQUEST_ID_REUSED");
  const [count] = await harness.admin(
    "select count(*) from payment_operation where payment_id = (select payment_id from payment where order_id = (select order_id from payment order by create_time desc limit 1))",
  );
  assert.equal(count?.count, "3");
});

/** The part of an answer that a caller sees. */
async function answer(outcome: ReturnType<MoneyMover["authorize"]>): Promise<unknown> {
  const { payment, pending } = await outcome;
  const { paymentId, captured, voided, refunded, decision, updateTime } = payment;
  return { paymentId, captured, voided, refunded, decision, updateTime, pending };
}

test("one request many times at once has one effect", async () => {
  const input = authorization();
  const answers = await Promise.all(Array.from({ length: 20 }, () => mover.authorize(input)));
  assert.equal(new Set(answers.map(({ payment }) => payment.gatewayReference)).size, 1);
  const replica = harness.mover();
  const capture = change("capture", input.paymentId, { amount: 600n });
  const both = [mover, replica, mover, replica].map((each) => each.change(capture));
  for (const { payment } of await Promise.all(both)) assert.equal(payment.captured, 600n);
  assert.equal((await ledgerOf(input.paymentId)).length, 3);
  await harness.assertBalance();
});

test("a payment id belongs to one payment", async () => {
  const input = authorization();
  await mover.authorize(input);
  const again = authorization({ paymentId: input.paymentId });
  await refuses(mover.authorize(again), "PAYMENT_ID_TAKEN", { payment_id: input.paymentId });
  // What was refused left no trace: the same request id may be used for something else.
  await mover.authorize(authorization({ requestId: again.requestId }));
  const same = authorization();
  const [one, two] = await Promise.allSettled([
    mover.authorize(same),
    harness.mover().authorize(authorization({ paymentId: same.paymentId })),
  ]);
  assert.equal([one, two].filter(({ status }) => status === "fulfilled").length, 1);
});

test("captures at the same time never take more than was authorized", async () => {
  const id = await authorized(1000n);
  const replica = harness.mover();
  const calls = Array.from({ length: 30 }, (_, index) => {
    return (index % 2 ? mover : replica).change(change("capture", id, { amount: 70n }));
  });
  const results = await Promise.allSettled(calls);
  const refusals = results.filter((result) => result.status === "rejected").map((result) => result.reason.reason);
  assert.equal(results.length - refusals.length, 14);
  for (const reason of refusals) assert.equal(reason, Reason.AMOUNT_EXCEEDS_AUTHORIZATION);
  const payment = await harness.payments.get(id);
  assert.deepEqual([payment?.captured, payment?.capturing], [980n, 0n]);
  await harness.assertBalance();
});

test("voids and captures at the same time leave nothing held, and nothing twice", async () => {
  for (let round = 0; round < 5; round += 1) {
    const id = await authorized(1000n, round % 2 ? "tok_capture_error" : "tok_approve");
    await Promise.allSettled([
      mover.change(change("capture", id, { amount: 300n })),
      mover.change(change("void", id, { amount: 200n })),
      mover.change(change("void", id)),
      mover.change(change("capture", id, { amount: 300n })),
      harness.mover().change(change("void", id)),
    ]);
    const payment = await harness.payments.get(id);
    assert.ok(payment);
    assert.equal(payment.captured + payment.voided, 1000n);
  }
  await harness.assertBalance();
});

test("a thousand customers at once", async () => {
  const tokens = ["tok_approve", "tok_approve", "tok_decline", "tok_timeout_after_success", "tok_error_500"];
  const inputs = Array.from({ length: 1_000 }, (_, index) => authorization({ cardToken: tokens[index % 5] ?? "" }));
  const results = await Promise.allSettled(inputs.map((input) => mover.authorize(input)));
  assert.equal(results.filter((result) => result.status === "fulfilled" && !result.value.pending).length, 800);
  await harness.assertBalance();
});

test("one request id of two customers, and of two payments, stands for two things", async () => {
  const requestId = newId();
  const both = [authorization({ requestId, amount: 700n }), authorization({ requestId, amount: 800n })];
  const authorized = await Promise.all(both.map((input) => mover.authorize(input)));
  assert.deepEqual(
    authorized.map(({ payment }) => payment.amount),
    [700n, 800n],
  );
  const captures = both.map(({ paymentId }) => change("capture", paymentId, { amount: 100n, requestId }));
  for (const capture of [...captures, ...captures]) {
    assert.equal((await mover.change(capture)).payment.captured, 100n);
  }
  await harness.assertBalance();
});
