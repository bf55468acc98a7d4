import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { LedgerEntryKind, PaymentStatus } from "#gen/shop/payments/v1/payment_pb.js";
import type { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { newId } from "#platform/id.ts";
import { connect, type Harness, openHarness } from "./harness.ts";

let harness: Harness;
let client: Client<typeof PaymentService>;

/** A client of one process that answers so soon. */
function answering(withinMs: number): Client<typeof PaymentService> {
  return connect(harness.process({ config: { PAYMENTS_ANSWER_WITHIN_MS: withinMs } }));
}

before(async () => {
  harness = await openHarness();
  client = answering(2_000);
});
after(() => harness[Symbol.asyncDispose]());

const euros = (amount: bigint) => ({ currency: "EUR", amount });

function request(given: { cardToken?: string; orderId?: string; customerId?: string; paymentId?: string } = {}) {
  const { cardToken = "tok_approve", orderId = newId(), customerId = newId(), paymentId = newId() } = given;
  return { requestId: newId(), paymentId, orderId, customerId, cardToken, amount: euros(1000n) };
}

async function reasonOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => assert.fail("a refusal is missing"),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  return `${Code[error.code]} ${error.findDetails(ErrorInfoSchema)[0]?.reason ?? ""}`;
}

test("one payment from authorization to refund", async () => {
  const asked = request();
  const { payment } = await client.authorizePayment(asked);
  assert.ok(payment);
  const { paymentId } = asked;
  assert.equal(payment.status, PaymentStatus.AUTHORIZED);
  assert.deepEqual(payment.amount?.amount, 1000n);
  await client.capturePayment({ requestId: newId(), paymentId, amount: euros(600n) });
  await client.voidPayment({ requestId: newId(), paymentId });
  const refunded = await client.refundPayment({ requestId: newId(), paymentId, amount: euros(600n), reason: "broken" });
  assert.deepEqual([refunded.payment?.status, refunded.pending], [PaymentStatus.REFUNDED, false]);
  assert.deepEqual((await client.getPayment({ paymentId })).payment, refunded.payment);
  const { entries } = await client.listLedgerEntries({ paymentId });
  const kinds = entries.map((entry) => LedgerEntryKind[entry.kind]);
  assert.deepEqual(kinds, ["REFUND", "AUTHORIZATION_END", "CAPTURE", "AUTHORIZATION_END", "AUTHORIZATION"]);
});

test("refusals carry code and reason", async () => {
  const paymentId = newId();
  const unknown = { requestId: newId(), paymentId, amount: euros(1n) };
  assert.equal(await reasonOf(client.getPayment({ paymentId })), "NotFound PAYMENT_NOT_FOUND");
  assert.equal(await reasonOf(client.capturePayment(unknown)), "NotFound PAYMENT_NOT_FOUND");
  const declined = client.authorizePayment(request({ cardToken: "tok_decline" }));
  assert.equal(await reasonOf(declined), "FailedPrecondition PAYMENT_DECLINED");
  const nothing = { ...request(), amount: euros(0n) };
  assert.equal(await reasonOf(client.authorizePayment(nothing)), "InvalidArgument ");
  const damaged = client.listPayments({ pageToken: "x" });
  assert.equal(await reasonOf(damaged), "InvalidArgument INVALID_PAGE_TOKEN");
});

test("a batch has an outcome for each entry, in order, and one that is slow comes back pending", async () => {
  const twice = request();
  const requests = [
    request(),
    request({ cardToken: "tok_decline" }),
    request({ cardToken: "tok_slow" }),
    request({ cardToken: "tok_timeout_after_success" }),
    twice,
    twice,
    { ...twice, amount: euros(1n) },
    request({ paymentId: twice.paymentId }),
  ];
  const { outcomes } = await client.batchAuthorizePayments({ requests });
  const told = outcomes.map(({ outcome }) => {
    if (outcome.case === "failure") return outcome.value.reason;
    return PaymentStatus[outcome.value?.payment?.status ?? 0];
  });
  assert.deepEqual(told, [
    "AUTHORIZED",
    "PAYMENT_DECLINED",
    "PENDING",
    "AUTHORIZED",
    "AUTHORIZED",
    "AUTHORIZED",
    "REQUEST_ID_REUSED",
    "PAYMENT_ID_TAKEN",
  ]);
  const paymentId = twice.paymentId;
  const captures = [1n, 2000n].map((amount) => ({ requestId: newId(), paymentId, amount: euros(amount) }));
  const captured = await client.batchCapturePayments({ requests: captures });
  assert.deepEqual(
    captured.outcomes.map(({ outcome }) => outcome.case),
    ["response", "failure"],
  );
  const voided = await client.batchVoidPayments({
    requests: [
      { requestId: newId(), paymentId },
      { requestId: newId(), paymentId: newId() },
    ],
  });
  assert.deepEqual(
    voided.outcomes.map(({ outcome }) => outcome.case),
    ["response", "response"],
  );
  const refunds = await client.batchRefundPayments({ requests: [{ requestId: newId(), paymentId }] });
  assert.equal(refunds.outcomes[0]?.outcome.case, "response");
});

test("a batch answers before its caller's deadline, with what is decided by then", async () => {
  const requests = ["tok_slow", "tok_slow", "tok_approve"].map((cardToken) => request({ cardToken }));
  const { outcomes } = await answering(60_000).batchAuthorizePayments({ requests }, { timeoutMs: 3_000 });
  const statuses = outcomes.map(({ outcome }) => outcome.case === "response" && outcome.value.payment?.status);
  assert.deepEqual(statuses, [PaymentStatus.PENDING, PaymentStatus.PENDING, PaymentStatus.AUTHORIZED]);
});

test("one slow card does not hold up a batch for as long as the gateway takes", async () => {
  const requests = ["tok_approve", "tok_slow", "tok_approve"].map((cardToken) => request({ cardToken }));
  const { outcomes } = await answering(60_000).batchAuthorizePayments({ requests });
  const statuses = outcomes.map(({ outcome }) => outcome.case === "response" && outcome.value.payment?.status);
  assert.deepEqual(statuses, [PaymentStatus.AUTHORIZED, PaymentStatus.PENDING, PaymentStatus.AUTHORIZED]);
});

test("without a payment id the service chooses one", async () => {
  const { payment } = await client.authorizePayment({ ...request(), paymentId: "" });
  assert.match(payment?.paymentId ?? "", /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
});

test("pages follow each other without gaps or repetitions, whatever is inserted between", async () => {
  const customerId = newId();
  const orderId = newId();
  const made: string[] = [];
  for (let index = 0; index < 5; index += 1) {
    const { payment } = await client.authorizePayment(request({ customerId, ...(index < 2 ? { orderId } : {}) }));
    made.unshift(payment?.paymentId ?? "");
  }
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await client.listPayments({ customerId, pageSize: 2, pageToken });
    seen.push(...page.payments.map((payment) => payment.paymentId));
    pageToken = page.nextPageToken;
    await client.authorizePayment(request({ customerId }));
  } while (pageToken);
  assert.deepEqual(seen, made);
  const byOrder = await client.listPayments({ orderId, status: PaymentStatus.AUTHORIZED });
  assert.equal(byOrder.payments.length, 2);
  assert.deepEqual((await client.listPayments({ customerId, status: PaymentStatus.VOIDED })).payments, []);
});

test("the ledger is paged, and a token fits only its own list", async () => {
  const asked = request();
  await client.authorizePayment(asked);
  const { paymentId } = asked;
  await client.capturePayment({ requestId: newId(), paymentId, amount: euros(10n) });
  const first = await client.listLedgerEntries({ paymentId, pageSize: 2 });
  const rest = await client.listLedgerEntries({ paymentId, pageSize: 2, pageToken: first.nextPageToken });
  assert.deepEqual([first.entries.length, rest.entries.length, rest.nextPageToken], [2, 1, ""]);
  const elsewhere = client.listLedgerEntries({ pageToken: first.nextPageToken });
  assert.equal(await reasonOf(elsewhere), "InvalidArgument INVALID_PAGE_TOKEN");
});
