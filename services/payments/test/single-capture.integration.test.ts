// A gateway that captures an authorization once: what the capture leaves is free, at the gateway, in the ledger and in the books, whatever happens.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decodeId } from "#platform/id.ts";
import type { Outcome } from "../src/operation/operation.ts";
import { heldOf } from "../src/payment/payment.ts";
import { authorization, change, connect, gatewayWith, type Harness, openHarness } from "./harness.ts";

let harness: Harness;
before(async () => {
  harness = await openHarness({ captures: "once", slowMs: 100 });
});
after(() => harness?.[Symbol.asyncDispose]());

/** What the gateway has of a payment's authorization. */
async function record(paymentId: string) {
  const [row] = await harness.admin<{ operation_id: string }>(
    "select operation_id from payment_operation where payment_id = $1 and kind = 'authorize'",
    [decodeId(paymentId)],
  );
  const [found] = await harness.outside.database.query(
    "select captured, voided, refunded from gateway_record where key = $1",
    [row?.operation_id],
  );
  return found;
}

const reasonOf = (outcome: Promise<Outcome>) =>
  outcome.then(
    () => "",
    (error: { reasonName: string }) => error.reasonName,
  );

test("an authorization for several parcels is of the first one alone, and says of how many it is", async () => {
  const input = authorization({ amount: 1_003n, parcels: [300n, 400n, 303n] });
  const { payment } = await harness.mover().authorize(input);
  assert.deepEqual([payment.amount, payment.holds], [300n, 3]);
  const again = await harness.mover().authorize({ ...input, parcels: [301n, 702n] });
  assert.deepEqual([again.payment.amount, again.payment.holds], [300n, 3], "what was done the first time counts");
  const { payment: shown } = await connect(harness.process()).getPayment({ paymentId: input.paymentId });
  assert.deepEqual([shown?.amount?.amount, shown?.holds], [300n, 3]);
  const { payment: alone } = await harness.mover().authorize(authorization({ amount: 1_003n }));
  assert.deepEqual([alone.amount, alone.holds], [1_003n, 1]);
});

test("where it captures in parts, one payment is of all of them, unless it is to be captured once", async () => {
  const gateway = gatewayWith(harness, { capturesOnce: async () => false });
  const mover = harness.mover({ gateway });
  const { payment } = await mover.authorize(authorization({ parcels: [400n, 600n] }));
  assert.deepEqual([payment.amount, payment.holds], [1_000n, 0]);
  const { payment: single } = await mover.authorize(authorization({ singleCapture: true }));
  assert.deepEqual([single.amount, single.holds], [1_000n, 1]);
});

test("what a capture leaves is free, and nothing more is captured, whatever answers are lost", async () => {
  const cards = ["tok_approve", "tok_capture_timeout_after_success", "tok_capture_error_500", "tok_capture_slow"];
  for (const cardToken of cards) {
    for (const amount of [1n, 399n, 400n]) {
      const input = authorization({ cardToken, amount: 1_000n, parcels: [400n, 600n] });
      const { paymentId } = input;
      await harness.mover().authorize(input);
      const capture = change("capture", paymentId, { amount });
      await harness.mover().change(capture);
      await harness.resolveAll(harness.mover());
      const { payment } = await harness.mover().change(capture);
      assert.deepEqual([payment.captured, payment.voided, heldOf(payment)], [amount, 400n - amount, 0n], cardToken);
      assert.deepEqual(await record(paymentId), { captured: amount, voided: 400n - amount, refunded: 0n });
      const more = reasonOf(harness.mover().change(change("capture", paymentId, { amount: 1n })));
      assert.equal(await more, "NOT_AUTHORIZED");
    }
  }
  await harness.assertBalance();
});

test("a capture that is refused leaves all of it held", async () => {
  const input = authorization({ cardToken: "tok_capture_decline" });
  const mover = harness.mover();
  await mover.authorize(input);
  const { paymentId } = input;
  assert.equal(await reasonOf(mover.change(change("capture", paymentId, { amount: 400n }))), "PAYMENT_DECLINED");
  const { payment } = await mover.change(change("void", paymentId));
  assert.deepEqual([payment.captured, payment.voided], [0n, 1_000n]);
  await harness.assertBalance();
});

test("of several captures at once one is taken; parts that are voided are not freed twice; a void of the rest finds nothing", async () => {
  const movers = [harness.mover(), harness.mover()];
  for (let round = 0; round < 8; round += 1) {
    const input = authorization();
    const { paymentId } = input;
    await harness.mover().authorize(input);
    const asked = [
      change("void", paymentId, { amount: 100n }),
      change("capture", paymentId, { amount: 300n }),
      change("void", paymentId, { amount: 50n }),
      change("capture", paymentId, { amount: 200n }),
      ...(round % 2 === 0 ? [change("void", paymentId)] : []),
    ];
    await Promise.allSettled(asked.map((each, index) => movers[index % 2]?.change(each)));
    await harness.resolveAll(harness.mover());
    const payment = await harness.payments.get(paymentId);
    assert.ok(payment);
    assert.equal(heldOf(payment), 0n);
    assert.ok([0n, 200n, 300n].includes(payment.captured), String(payment.captured));
    assert.deepEqual(await record(paymentId), { captured: payment.captured, voided: payment.voided, refunded: 0n });
  }
  await harness.assertBalance();
});

test("a payment keeps its kind when the account's setting changes", async () => {
  const many = harness.mover({ gateway: gatewayWith(harness, { capturesOnce: async () => false }) });
  const once = authorization({ parcels: [700n, 300n] });
  await harness.mover().authorize(once);
  const { payment } = await many.change(change("capture", once.paymentId, { amount: 500n }));
  assert.deepEqual([payment.captured, payment.voided], [500n, 200n]);
  const refunded = await many.change(change("refund", once.paymentId, { amount: 500n }));
  assert.equal(refunded.payment.refunded, 500n);
  await harness.assertBalance();
});

test("the audit log says what a capture gave free", async () => {
  const input = authorization();
  await harness.mover().authorize(input);
  await harness.mover().change(change("capture", input.paymentId, { amount: 300n }));
  const [event] = await harness.admin<{ details: Record<string, string> }>(
    "select details from audit_event where order_id = $1 and action = 'payment.captured'",
    [decodeId(input.orderId)],
  );
  assert.deepEqual([event?.details.amount, event?.details.freed], ["300", "700"]);
});
