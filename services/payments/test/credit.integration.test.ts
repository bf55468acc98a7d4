// What one payment has captured pays another order, and goes back to the card when that does not want it: once, however it is asked for.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { sqlStateOf } from "#platform/database/sql-state.ts";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { Gateway } from "../src/gateway/gateway.ts";
import type { MoneyMover } from "../src/move/money-mover.ts";
import type { AuthorizeInput } from "../src/operation/operation-request.ts";
import type { Payment } from "../src/payment/payment.ts";
import { statusOf } from "../src/payment/payment.ts";
import { authorization, change, connect, gatewayWith, type Harness, openHarness, unreachable } from "./harness.ts";

/** A payment in a few words. */
function told(payment: Payment | undefined): string {
  if (!payment) return "nothing";
  const { amount, captured, voided, refunded, credited } = payment;
  return `${statusOf(payment)} ${amount}: ${captured}/${voided}/${refunded}, credited ${credited}`;
}

const reasonOf = (error: { readonly reasonName?: string; readonly message: string }) =>
  error.reasonName ?? error.message;

describe("a credit", () => {
  let harness: Harness;
  let mover: MoneyMover;
  /** What the gateway was asked since it was last looked at. */
  const asked: string[] = [];
  let gateway: Gateway;
  before(async () => {
    harness = await openHarness();
    gateway = gatewayWith(harness, {
      execute: (operation, call) => {
        asked.push(`${operation.kind} ${operation.amount}`);
        return harness.gateway.execute(operation, call);
      },
    });
    mover = harness.mover({ gateway });
  });
  after(() => harness[Symbol.asyncDispose]());

  /** A payment of 1000 that is captured. */
  async function paid(given: Partial<AuthorizeInput> = {}): Promise<Payment> {
    const { payment } = await mover.authorize(authorization(given));
    const captured = await mover.change(change("capture", payment.paymentId));
    asked.length = 0;
    return captured.payment;
  }

  const creditOf = ({ paymentId, customerId }: Payment, given: Partial<AuthorizeInput> = {}) =>
    authorization({ sourceId: paymentId, customerId, amount: 600n, ...given });

  const look = async ({ paymentId }: { readonly paymentId: string }) => told(await harness.payments.get(paymentId));

  it("is of what was captured: neither it nor its capture asks the gateway, and no refund has it any more", async () => {
    const source = await paid();
    const { payment } = await mover.authorize(creditOf(source));
    assert.equal(told(payment), "authorized 600: 0/0/0, credited 0");
    assert.deepEqual([payment.cardToken, payment.gatewayReference], [source.cardToken, source.gatewayReference]);
    assert.equal(await look(source), "captured 1000: 1000/0/0, credited 600");
    await mover.change(change("capture", payment.paymentId, { amount: 250n }));
    await mover.change(change("capture", payment.paymentId));
    assert.equal(await look(payment), "captured 600: 600/0/0, credited 0");
    assert.deepEqual(asked, []);
    const tooMuch = mover.change(change("refund", source.paymentId, { amount: 401n }));
    await assert.rejects(tooMuch, (error: never) => {
      assert.deepEqual((error as { metadata: object }).metadata, { payment_id: source.paymentId, available: "400" });
      return reasonOf(error) === "AMOUNT_EXCEEDS_CAPTURE";
    });
    await mover.change(change("refund", source.paymentId));
    assert.equal(await look(source), "captured 1000: 1000/0/400, credited 600");
    assert.deepEqual(asked, ["refund 400"]);
    await harness.assertBalance();
  });

  it("goes back to the card when it is voided, and when what it bought comes back", async () => {
    const source = await paid();
    const { payment } = await mover.authorize(creditOf(source));
    const part = change("void", payment.paymentId, { amount: 100n });
    assert.equal(told((await mover.change(part)).payment), "authorized 600: 0/100/0, credited 0");
    assert.equal(told((await mover.change(part)).payment), "authorized 600: 0/100/0, credited 0", "a repetition");
    await mover.change(change("capture", payment.paymentId, { amount: 300n }));
    await mover.change(change("void", payment.paymentId));
    await mover.change(change("refund", payment.paymentId, { amount: 120n }));
    assert.equal(await look(payment), "captured 600: 300/300/120, credited 0");
    assert.equal(await look(source), "captured 1000: 1000/0/0, credited 600");
    assert.deepEqual(asked, ["refund 100", "refund 200", "refund 120"]);
    const [authorized] = await harness.admin<{ key: string }>(
      "select operation_id as key from payment_operation where payment_id = $1 and kind = 'authorize'",
      [decodeId(source.paymentId)],
    );
    const refunded = "select refunded from gateway_record where key = $1";
    const [record] = await harness.outside.database.query<{ refunded: bigint }>(refunded, [authorized?.key]);
    assert.equal(record?.refunded, 420n, "on the authorization of the card");
    const log = await readAuditLog(harness.database);
    const own = log.filter(({ orderId }) => orderId === payment.orderId);
    assert.deepEqual(
      own.map(({ action, details }) => [action, details.amount, details.source_payment_id]),
      [
        ["payment.credited", "600", source.paymentId],
        ["payment.credit_returned", "100", source.paymentId],
        ["payment.captured", "300", source.paymentId],
        ["payment.credit_returned", "200", source.paymentId],
        ["payment.refunded", "120", source.paymentId],
      ],
    );
    await harness.assertBalance();
  });

  it("may be of a credit, and goes back to the card of the first", async () => {
    const source = await paid();
    const first = (await mover.authorize(creditOf(source))).payment;
    await mover.change(change("capture", first.paymentId));
    const second = (await mover.authorize(creditOf(first, { amount: 500n }))).payment;
    await mover.change(change("capture", second.paymentId, { amount: 200n }));
    await mover.change(change("void", second.paymentId));
    await mover.change(change("refund", first.paymentId));
    await mover.change(change("refund", second.paymentId));
    assert.deepEqual(asked, ["refund 300", "refund 100", "refund 200"]);
    const payments = [source, first, second].map(async ({ paymentId }) => {
      const payment = await harness.payments.get(paymentId);
      return payment && (await harness.payments.givenBack(payment));
    });
    assert.deepEqual(await Promise.all(payments), [600n, 500n, 0n], "all that went to the card, of whosever credits");
    assert.equal(await look(first), "captured 600: 600/0/100, credited 500");
    await harness.assertBalance();
  });

  it("is refused when there is nothing to make it of", async () => {
    const source = await paid();
    const elsewhere = await paid();
    await harness.admin("update payment set provider = 'stripe' where payment_id = $1", [
      decodeId(elsewhere.paymentId),
    ]);
    const cases: [Partial<AuthorizeInput>, reason: string][] = [
      [{ amount: 1001n }, "AMOUNT_EXCEEDS_CAPTURE"],
      [{ currency: "USD" }, "CURRENCY_MISMATCH"],
      [{ sourceId: newId() }, "PAYMENT_NOT_FOUND"],
      [{ customerId: newId() }, "CREDIT_REFUSED"],
      [{ sourceId: elsewhere.paymentId, customerId: elsewhere.customerId }, "PAYMENT_ELSEWHERE"],
    ];
    for (const [given, reason] of cases) {
      const input = creditOf(source, given);
      for (const _ of [1, 2]) assert.equal(await mover.authorize(input).catch(reasonOf), reason);
      assert.equal(await look(input), "nothing");
    }
    assert.equal(await look(source), "captured 1000: 1000/0/0, credited 0");
    await harness.admin("update payment set provider = '' where payment_id = $1", [decodeId(elsewhere.paymentId)]);
  });

  it("is refused when it was voided before, and takes nothing", async () => {
    const source = await paid();
    const input = creditOf(source);
    await mover.change(change("void", input.paymentId));
    assert.equal(await mover.authorize(input).catch(reasonOf), "PAYMENT_VOIDED");
    assert.equal(await look(source), "captured 1000: 1000/0/0, credited 0");
    assert.deepEqual(asked, []);
  });

  it("is what the saga makes, and gives back: a person refunds what it has bought, as far as one may alone", async () => {
    const source = await paid();
    const limited = harness.process({ gateway, config: { REFUND_LIMIT_MAJOR_UNITS: 1 } });
    const [worker, ada] = [connect(limited, "worker"), connect(limited, "ada")];
    const { paymentId: sourcePaymentId, customerId } = source;
    const paymentId = newId();
    const amount = { currency: "EUR", amount: 600n };
    const request = { requestId: newId(), paymentId, orderId: newId(), customerId, amount, sourcePaymentId };
    const refused = async (call: Promise<unknown>) =>
      assert.rejects(call, /only what happens to its order makes a credit/);
    await refused(ada.authorizePayment(request));
    assert.equal(await look(source), "captured 1000: 1000/0/0, credited 0");
    const { outcomes } = await worker.batchAuthorizePayments({ requests: [request] });
    assert.equal(outcomes[0]?.outcome.case, "response");
    await refused(ada.voidPayment({ requestId: newId(), paymentId }));
    await ada.capturePayment({ requestId: newId(), paymentId, amount });
    const { refundRequest } = await ada.refundPayment({ requestId: newId(), paymentId });
    assert.equal(refundRequest?.amount?.amount, 600n);
    assert.deepEqual(asked, []);
    const bob = connect(limited, "bob");
    await bob.approveRefund({ requestId: newId(), refundRequestId: refundRequest?.refundRequestId ?? "" });
    assert.deepEqual(asked, ["refund 600"]);
    const shown = await ada.getPayment({ paymentId });
    assert.deepEqual([shown.payment?.sourcePaymentId, shown.payment?.refunded?.amount], [sourcePaymentId, 600n]);
    const { payment: first, givenBack } = await ada.getPayment({ paymentId: sourcePaymentId });
    assert.deepEqual([first?.refunded?.amount, givenBack?.currency, givenBack?.amount], [0n, "EUR", 600n]);
    const both = { ...request, requestId: newId(), paymentId: newId(), cardToken: "tok_approve" };
    await assert.rejects(ada.authorizePayment(both), /exactly one of card_token and source_payment_id/);
    await assert.rejects(ada.authorizePayment({ ...both, cardToken: "", sourcePaymentId: "" }), /exactly one of/);
    await harness.assertBalance();
  });

  it("is never of more than there is, whoever asks for what at the same time", async () => {
    const other = harness.mover({ gateway });
    for (let round = 0; round < 5; round += 1) {
      const source = await paid();
      const by = (index: number) => (index % 2 === 0 ? mover : other);
      const calls = Array.from({ length: 12 }, (_, index) =>
        index % 3 === 2
          ? by(index).change(change("refund", source.paymentId, { amount: 200n }))
          : by(index).authorize(creditOf(source, { amount: 200n })),
      );
      const settled = await Promise.allSettled(calls);
      assert.equal(settled.filter(({ status }) => status === "fulfilled").length, 5);
      const { refunded = 0n, credited = 0n } = (await harness.payments.get(source.paymentId)) ?? {};
      assert.equal(refunded + credited, 1000n);
    }
    await harness.assertBalance();
  });

  it("keeps to the episodes of the order that it comes from, and then to those of its own", async () => {
    const source = await paid({ fence: 7 });
    assert.equal(await mover.authorize(creditOf(source, { fence: 6 })).catch(reasonOf), "EPISODE_OVER");
    const input = creditOf(source, { fence: 8 });
    const { payment } = await mover.authorize(input);
    assert.equal((await harness.payments.get(source.paymentId))?.fence, 8);
    assert.equal(await mover.authorize({ ...input, fence: 7 }).catch(reasonOf), "EPISODE_OVER");
    await mover.authorize({ ...input, fence: 9 });
    assert.equal((await harness.payments.get(source.paymentId))?.fence, 9);
    const late = mover.change(change("refund", source.paymentId, { amount: 1n, fence: 8 }));
    assert.equal(await late.catch(reasonOf), "EPISODE_OVER");
    await mover.change(change("void", payment.paymentId, { fence: 1 }));
    assert.equal(await look(payment), "voided 600: 0/600/0, credited 0");
  });

  it("stays what it was when the gateway does not pay it back, and may be asked for anew", async () => {
    const source = await paid();
    const { payment } = await mover.authorize(creditOf(source));
    const strict = harness.mover({
      gateway: gatewayWith(harness, { execute: async () => ({ state: "declined", code: "closed" }) }),
    });
    assert.equal(await strict.change(change("void", payment.paymentId)).catch(reasonOf), "PAYMENT_DECLINED");
    assert.equal(await look(payment), "authorized 600: 0/0/0, credited 0");
    await mover.change(change("void", payment.paymentId));
    assert.equal(await look(payment), "voided 600: 0/600/0, credited 0");
    assert.deepEqual(asked, ["refund 600"]);
  });

  it("is carried on by others when its process dies: made, captured, and given back once", async () => {
    const source = await paid();
    const dying = harness.process({ gateway: unreachable(), config: { PAYMENTS_ANSWER_WITHIN_MS: 50 } });
    const asking = { source: { actor: "", requestId: "", traceparent: "" }, asker: undefined };
    const input = creditOf(source);
    // It dies between two lines: what it has begun is committed, and nothing after it.
    const [begun] = await dying.operations.beginAuthorizations([{ ...input, ...asking }]);
    assert.ok(begun && !(begun instanceof Error));
    assert.equal(await look(source), "captured 1000: 1000/0/0, credited 600");
    await harness.resolveAll(mover);
    assert.equal(await look(input), "authorized 600: 0/0/0, credited 0");
    await dying.operations.beginChanges("capture", [
      { ...change("capture", input.paymentId, { amount: 400n }), ...asking },
    ]);
    await harness.resolveAll(mover);
    const back = change("void", input.paymentId);
    await dying.mover.change(back);
    assert.equal(await look(input), "authorized 600: 400/0/0, credited 0", "the gateway is away");
    await harness.resolveAll(mover);
    await mover.change(back);
    assert.equal(await look(input), "captured 600: 400/200/0, credited 0");
    assert.deepEqual(asked, ["refund 200"]);
    await harness.assertBalance();
  });

  it("is bounded by the database itself", async () => {
    const source = await paid();
    await mover.authorize(creditOf(source));
    for (const set of [
      "credited = 1001",
      "credited = -1",
      "refunded = 401",
      "refunding = 401",
      "source_id = payment_id",
    ]) {
      const wrong = harness.admin(`update payment set ${set} where payment_id = $1`, [decodeId(source.paymentId)]);
      await assert.rejects(wrong, (error) => sqlStateOf(error) === "23514", set);
    }
  });
});
