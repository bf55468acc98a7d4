// Refunds that need a second person: who may be that, what becomes of a refund meanwhile, and that whatever happens at the same moment it is
// paid back once or not at all.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { Registry } from "prom-client";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import type { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { type RefundRequest, RefundRequestStatus } from "#gen/shop/payments/v1/refund_request_pb.js";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import { PaymentMetrics } from "../src/move/metrics.ts";
import type { ComposedPayments, PaymentsParts } from "../src/payments.ts";
import { decideRefundRequest } from "../src/refund/refund-request-statements.ts";
import {
  authorization,
  change,
  connect,
  type Harness,
  openHarness,
  type ProcessOptions,
  unreachable,
} from "./harness.ts";

/** 500 EUR cents may go alone; 1,000 are captured of each payment. */
const config = { REFUND_LIMIT_MAJOR_UNITS: 5, REFUND_LIMITS_MINOR_UNITS: {} } as const;
const euros = (amount: bigint) => ({ currency: "EUR", amount });

let harness: Harness;
let here: ComposedPayments;
let ada: Client<typeof PaymentService>;
let bob: Client<typeof PaymentService>;
let cyd: Client<typeof PaymentService>;
let worker: Client<typeof PaymentService>;

function processOf(options: ProcessOptions = {}): ComposedPayments {
  return harness.process({ ...options, config: { ...config, ...options.config } });
}

before(async () => {
  harness = await openHarness();
  here = processOf();
  [ada, bob, cyd, worker] = ["ada", "bob", "cyd", "worker"].map((name) => connect(here, name)) as [
    typeof ada,
    typeof ada,
    typeof ada,
    typeof ada,
  ];
});
after(() => harness[Symbol.asyncDispose]());

/** A payment of which 1,000 EUR cents are captured. */
async function captured(cardToken = "tok_approve"): Promise<string> {
  const { payment } = await here.mover.authorize(authorization({ cardToken }));
  await here.mover.change(change("capture", payment.paymentId));
  return payment.paymentId;
}

const asked = (paymentId: string, amount: bigint) => ({
  requestId: newId(),
  paymentId,
  amount: euros(amount),
  reason: "it broke",
});

/** What waits for a second person after somebody has asked. */
async function rest(request: ReturnType<typeof asked>, client = ada): Promise<RefundRequest> {
  const { refundRequest, pending } = await client.refundPayment(request);
  assert.ok(refundRequest, "it needs a second person");
  assert.equal(pending, true);
  return refundRequest;
}

async function refunded(paymentId: string): Promise<bigint | undefined> {
  return (await harness.payments.get(paymentId))?.refunded;
}

async function reasonOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => assert.fail("a refusal is missing"),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const { reason = error.rawMessage, metadata = {} } = error.findDetails(ErrorInfoSchema)[0] ?? {};
  return [Code[error.code], reason, metadata.status, metadata.available].filter(Boolean).join(" ");
}

test("what the saga pays because somebody granted it is that person's refund, and nobody else may say whose it is", async () => {
  const paymentId = await captured();
  const granted = (amount: bigint) => ({ ...asked(paymentId, amount), grantedBy: "ada" });
  const batch = async (amount: bigint) => {
    const { outcomes } = await worker.batchRefundPayments({ requests: [granted(amount)], traceparents: [] });
    const [outcome] = outcomes;
    assert.equal(outcome?.outcome.case, "response");
    return outcome?.outcome.value;
  };
  assert.equal((await batch(300n)).refundRequest, undefined);
  const { refundRequest } = await rest(asked(paymentId, 300n)).then((waiting) => ({ refundRequest: waiting }));
  assert.equal(refundRequest.requester, "ada", "what she granted counts with what she asks for");
  const waiting = (await batch(300n)).refundRequest;
  assert.equal(waiting?.requester, "ada");
  const own = ada.approveRefund(decision(waiting?.refundRequestId ?? ""));
  assert.match(await reasonOf(own), /OWN_REFUND_REQUEST/);
  await bob.approveRefund(decision(waiting?.refundRequestId ?? ""));
  assert.equal(await refunded(paymentId), 600n);

  const other = await captured();
  const pretended = await rest({ ...asked(other, 501n), grantedBy: "somebody" } as ReturnType<typeof asked>);
  assert.equal(pretended.requester, "ada");
});

const decision = (refundRequestId: string) => ({ requestId: newId(), refundRequestId, reason: "seen" });

test("a refund beyond the limit rests, and is paid back once another person has approved it", async () => {
  const paymentId = await captured();
  const request = asked(paymentId, 501n);
  const { refundRequestId, ...facts } = await rest(request);
  assert.deepEqual(
    [facts.paymentId, facts.amount?.amount, facts.reason, facts.requester, facts.decider, facts.status],
    [paymentId, 501n, "it broke", "ada", "", RefundRequestStatus.WAITING],
  );
  assert.equal(Number(facts.expireTime?.seconds) - Number(facts.createTime?.seconds), 7 * 24 * 3_600);
  assert.deepEqual((await rest(request)).refundRequestId, refundRequestId);
  assert.equal(await refunded(paymentId), 0n);
  assert.deepEqual(
    await harness.admin("select from payment_operation where operation_id = $1", [decodeId(refundRequestId)]),
    [],
  );

  const approval = decision(refundRequestId);
  const approved = await bob.approveRefund(approval);
  assert.deepEqual(
    [
      approved.payment?.refunded?.amount,
      approved.pending,
      approved.refundRequest?.status,
      approved.refundRequest?.decider,
    ],
    [501n, false, RefundRequestStatus.APPROVED, "bob"],
  );
  const again = await ada.refundPayment(request);
  assert.deepEqual([again.payment?.refunded?.amount, again.pending, again.refundRequest], [501n, false, undefined]);
  assert.deepEqual(await bob.approveRefund(approval), approved);
  assert.deepEqual((await ada.getRefundRequest({ refundRequestId })).refundRequest, approved.refundRequest);
  assert.equal(await reasonOf(bob.approveRefund({ ...approval, reason: "else" })), "AlreadyExists REQUEST_ID_REUSED");
  await harness.assertBalance();
});

test("at the limit one person is enough, and a limit that is changed counts for the next call", async () => {
  const paymentId = await captured();
  assert.equal((await ada.refundPayment(asked(paymentId, 500n))).pending, false);
  await rest(asked(paymentId, 1n));
  const other = processOf();
  const client = connect(other, "ada");
  other.limits.use({ minorUnits: { EUR: 502 } });
  assert.equal((await client.refundPayment(asked(paymentId, 1n))).pending, false);
  other.limits.use({ minorUnits: { EUR: 0 } });
  await rest(asked(await captured(), 1n), client);
  other.limits.use({ minorUnits: { EUR: "off" } });
  assert.equal((await client.refundPayment(asked(await captured(), 1_000n))).pending, false);
});

test("all that is left is as much as it is when it is asked for", async () => {
  const paymentId = await captured();
  const { refundRequestId, amount } = await rest({ requestId: newId(), paymentId } as ReturnType<typeof asked>);
  assert.equal(amount?.amount, 1_000n);
  await worker.batchRefundPayments({ requests: [{ requestId: newId(), paymentId, amount: euros(100n) }] });
  assert.equal(
    await reasonOf(bob.approveRefund(decision(refundRequestId))),
    "FailedPrecondition AMOUNT_EXCEEDS_CAPTURE 900",
  );
});

test("the requester is no second person, whatever he calls himself, and neither is a program, a service or an auditor", async () => {
  const { refundRequestId } = await rest(asked(await captured(), 1_000n));
  const own = "PermissionDenied OWN_REFUND_REQUEST";
  const headers = { baggage: "user.id=bob", "user-agent": "bob/1" };
  assert.equal(await reasonOf(ada.approveRefund(decision(refundRequestId), { headers })), own);
  assert.equal(await reasonOf(ada.rejectRefund(decision(refundRequestId), { headers })), own);
  for (const name of ["program", "worker", "auditor"]) {
    const client = connect(here, name);
    assert.match(
      await reasonOf(client.approveRefund(decision(refundRequestId))),
      /PermissionDenied NOT_PERMITTED/,
      name,
    );
    assert.match(
      await reasonOf(client.rejectRefund(decision(refundRequestId))),
      /PermissionDenied NOT_PERMITTED/,
      name,
    );
  }
  const nobody = connect(here);
  assert.equal(await reasonOf(nobody.approveRefund(decision(refundRequestId))), "Unauthenticated CREDENTIAL_MISSING");
  assert.equal(await reasonOf(bob.approveRefund(decision(newId()))), "NotFound REFUND_REQUEST_NOT_FOUND");
  assert.equal(await reasonOf(bob.getRefundRequest({ refundRequestId: newId() })), "NotFound REFUND_REQUEST_NOT_FOUND");
  assert.equal((await bob.approveRefund(decision(refundRequestId))).pending, false);
});

test("a rejected refund is never paid back, and its requester is told", async () => {
  const paymentId = await captured();
  const request = asked(paymentId, 600n);
  const { refundRequestId } = await rest(request);
  assert.match(
    await reasonOf(bob.rejectRefund({ ...decision(refundRequestId), reason: " " })),
    /^InvalidArgument reason: must have/,
  );
  const rejection = decision(refundRequestId);
  const rejected = await bob.rejectRefund(rejection);
  assert.deepEqual(
    [rejected.refundRequest?.status, rejected.refundRequest?.decider, rejected.refundRequest?.decisionReason],
    [RefundRequestStatus.REJECTED, "bob", "seen"],
  );
  assert.deepEqual(await bob.rejectRefund(rejection), rejected);
  assert.equal(await reasonOf(ada.refundPayment(request)), "FailedPrecondition REFUND_NOT_APPROVED REJECTED");
  const decided = "FailedPrecondition REFUND_REQUEST_DECIDED REJECTED";
  assert.equal(await reasonOf(cyd.approveRefund(decision(refundRequestId))), decided);
  assert.equal(await reasonOf(cyd.rejectRefund(decision(refundRequestId))), decided);
  assert.equal(await refunded(paymentId), 0n);
  // What was rejected is asked for anew.
  await rest(asked(paymentId, 1_000n));
});

test("small refunds of one payment are one large one, whoever asks and wherever, also at the same moment", async () => {
  const replicas = [here, processOf(), processOf()];
  const clients = replicas.flatMap((replica) => ["ada", "bob", "program"].map((name) => connect(replica, name)));
  for (let round = 0; round < 5; round += 1) {
    const paymentId = await captured();
    const outcomes = await Promise.all(
      clients.slice(0, 8).map((client) => client.refundPayment(asked(paymentId, 120n))),
    );
    assert.equal(outcomes.filter(({ refundRequest }) => !refundRequest).length, 4);
    assert.equal(await refunded(paymentId), 480n);
    assert.equal((await ada.refundPayment(asked(paymentId, 20n))).pending, false);
    await rest(asked(paymentId, 1n), cyd);
  }
});

test("what the gateway refuses, and what a second person approved, does not count against the limit", async () => {
  const declining = await captured("tok_refund_decline");
  assert.equal(await reasonOf(ada.refundPayment(asked(declining, 500n))), "FailedPrecondition PAYMENT_DECLINED");
  assert.equal(await reasonOf(ada.refundPayment(asked(declining, 500n))), "FailedPrecondition PAYMENT_DECLINED");
  const { refundRequestId } = await rest(asked(declining, 501n));
  const approval = decision(refundRequestId);
  for (let turn = 0; turn < 2; turn += 1) {
    assert.equal(await reasonOf(bob.approveRefund(approval)), "FailedPrecondition PAYMENT_DECLINED");
  }
  const { refundRequest } = await bob.getRefundRequest({ refundRequestId });
  assert.equal(refundRequest?.status, RefundRequestStatus.APPROVED);

  const paymentId = await captured();
  await bob.approveRefund(decision((await rest(asked(paymentId, 501n))).refundRequestId));
  assert.equal((await ada.refundPayment(asked(paymentId, 499n))).pending, false);
});

test("refunds of the saga have no limit and use none up; those of programs have", async () => {
  const paymentId = await captured();
  const requests = [{ requestId: newId(), paymentId, amount: euros(501n) }];
  const { outcomes } = await worker.batchRefundPayments({ requests });
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome.case === "response" && [outcome.value.pending, outcome.value.refundRequest]),
    [[false, undefined]],
  );
  assert.equal((await ada.refundPayment(asked(paymentId, 499n))).pending, false);
  const program = connect(here, "program");
  const { requester, refundRequestId } = await rest(asked(await captured(), 501n), program);
  assert.equal(requester, "key:K1");
  assert.equal((await ada.approveRefund(decision(refundRequestId))).pending, false);
});

test("where nobody is asked who calls there is no second person, and no limit", async () => {
  const answer = await connect(here).refundPayment(asked(await captured(), 1_000n));
  assert.deepEqual([answer.pending, answer.refundRequest], [false, undefined]);
});

test("of decisions at the same moment one counts, and the others are told", async () => {
  const there = processOf();
  const deciders = [bob, cyd, connect(there, "bob"), connect(there, "cyd")];
  const seen = { approved: 0, rejected: 0 };
  for (let round = 0; round < 16; round += 1) {
    const paymentId = await captured();
    const { refundRequestId } = await rest(asked(paymentId, 1_000n));
    const outcomes = await Promise.allSettled(
      deciders.map(async (client, index) => {
        const isApproval = round < 6 || (index + round) % 2 === 0;
        if (isApproval) return (await client.approveRefund(decision(refundRequestId))).refundRequest;
        return (await client.rejectRefund(decision(refundRequestId))).refundRequest;
      }),
    );
    const done = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    assert.equal(done.length, 1, `round ${round}`);
    const isApproved = done[0]?.status === RefundRequestStatus.APPROVED;
    seen[isApproved ? "approved" : "rejected"] += 1;
    const told = new Set(
      await Promise.all(
        outcomes.flatMap((each) => (each.status === "rejected" ? [reasonOf(Promise.reject(each.reason))] : [])),
      ),
    );
    assert.deepEqual([...told], [`FailedPrecondition REFUND_REQUEST_DECIDED ${isApproved ? "APPROVED" : "REJECTED"}`]);
    assert.equal(await refunded(paymentId), isApproved ? 1_000n : 0n);
  }
  assert.ok(seen.approved > 5, JSON.stringify(seen));
  await harness.assertBalance();
});

test("one approval many times at once, on two replicas, is one refund", async () => {
  const paymentId = await captured();
  const approval = decision((await rest(asked(paymentId, 501n))).refundRequestId);
  const clients = [bob, connect(processOf(), "bob")];
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, index) => clients[index % 2]?.approveRefund(approval)),
  );
  for (const answer of answers) {
    assert.deepEqual([answer?.pending, answer?.payment?.refunded?.amount], [false, 501n]);
  }
  assert.equal(await refunded(paymentId), 501n);
});

test("approvals, refunds of the saga and small refunds at the same moment never pay back more than was captured", async () => {
  for (let round = 0; round < 8; round += 1) {
    const paymentId = await captured();
    const { refundRequestId } = await rest(asked(paymentId, 700n));
    const outcomes = await Promise.allSettled([
      bob.approveRefund(decision(refundRequestId)),
      ada.refundPayment(asked(paymentId, 400n)),
      worker.batchRefundPayments({ requests: [{ requestId: newId(), paymentId, amount: euros(400n) }] }),
    ]);
    const paid = (await refunded(paymentId)) ?? 0n;
    assert.ok(paid === 700n || paid === 800n, `${paid}`);
    const { refundRequest } = await bob.getRefundRequest({ refundRequestId });
    if (outcomes[0]?.status === "fulfilled") continue;
    assert.equal(
      await reasonOf(Promise.reject(outcomes[0]?.reason)),
      `FailedPrecondition AMOUNT_EXCEEDS_CAPTURE ${paid === 800n ? 200 : 600}`,
    );
    assert.equal(refundRequest?.status, RefundRequestStatus.WAITING);
    assert.equal(
      (await bob.rejectRefund(decision(refundRequestId))).refundRequest?.status,
      RefundRequestStatus.REJECTED,
    );
  }
  await harness.assertBalance();
});

test("what waits is never more than there is", async () => {
  const paymentId = await captured();
  await rest(asked(paymentId, 600n));
  assert.equal(
    await reasonOf(cyd.refundPayment(asked(paymentId, 600n))),
    "FailedPrecondition AMOUNT_EXCEEDS_CAPTURE 400",
  );
  const second = asked(paymentId, 501n);
  assert.equal(await reasonOf(ada.refundPayment(second)), "FailedPrecondition AMOUNT_EXCEEDS_CAPTURE 400");
  const { refundRequests } = await ada.listRefundRequests({ paymentId });
  await bob.rejectRefund(decision(refundRequests[0]?.refundRequestId ?? ""));
  await rest(second);
});

test("a request expires by its time, whether anybody has looked or not", async () => {
  const paymentId = await captured();
  const request = asked(paymentId, 600n);
  const { refundRequestId } = await rest(request);
  await harness.admin("update refund_request set expire_time = now() where refund_request_id = $1", [
    decodeId(refundRequestId),
  ]);
  const decided = "FailedPrecondition REFUND_REQUEST_DECIDED EXPIRED";
  assert.equal(await reasonOf(bob.approveRefund(decision(refundRequestId))), decided);
  // Its amount waits no more.
  await rest(asked(paymentId, 1_000n));
  const replicas = [here, processOf()];
  const swept = await Promise.all(replicas.map((replica) => replica.expire()));
  assert.equal((swept[0] ?? 0) + (swept[1] ?? 0), 1);
  assert.equal(await reasonOf(bob.rejectRefund(decision(refundRequestId))), decided);
  assert.equal(await reasonOf(ada.refundPayment(request)), "FailedPrecondition REFUND_NOT_APPROVED EXPIRED");
  const { refundRequest } = await ada.getRefundRequest({ refundRequestId });
  assert.deepEqual([refundRequest?.status, refundRequest?.decider], [RefundRequestStatus.EXPIRED, ""]);
  assert.ok(refundRequest?.decideTime);
  assert.equal(await refunded(paymentId), 0n);
});

/** A database whose process dies at the statement that decides: before it, before its commit, or after it. */
function dyingDatabase(place: "before" | "while" | "after"): PaymentsParts["database"] {
  const { database } = harness;
  const dying = (tx: Transaction): Transaction => ({
    query: (sql, values) => tx.query(sql, values),
    async commitWith(sql, values) {
      if (typeof sql === "string" || sql.name !== decideRefundRequest.name) return await tx.commitWith(sql, values);
      if (place === "while") await tx.query(sql, values);
      if (place === "after") await tx.commitWith(sql, values);
      throw new Error("the process is dead");
    },
  });
  return {
    em: () => database.em(),
    query: (sql, values) => database.query(sql, values),
    transaction: (work) => database.transaction((tx) => work(dying(tx))),
  };
}

for (const place of ["before", "while", "after"] as const) {
  test(`a process that dies ${place} the commit of an approval leaves it undone, or it is carried on`, async () => {
    const paymentId = await captured();
    const request = asked(paymentId, 1_000n);
    const approval = decision((await rest(request)).refundRequestId);
    const victim = connect(processOf({ database: dyingDatabase(place) }), "bob");
    assert.equal(await reasonOf(victim.approveRefund(approval)), "Internal internal error");
    if (place === "after") await harness.resolveAll(here.mover);
    assert.equal(await refunded(paymentId), place === "after" ? 1_000n : 0n);
    const again = await bob.approveRefund(approval);
    assert.deepEqual([again.pending, again.payment?.refunded?.amount], [false, 1_000n]);
    assert.equal((await ada.refundPayment(request)).pending, false);
    await harness.assertBalance();
  });
}

test("a process that dies between an approval and the gateway leaves the refund to others", async () => {
  const paymentId = await captured();
  const request = asked(paymentId, 1_000n);
  const approval = decision((await rest(request)).refundRequestId);
  const soon = { PAYMENTS_ANSWER_WITHIN_MS: 50, GATEWAY_TIMEOUT_MS: 100 };
  const victim = processOf({ gateway: unreachable(), config: soon });
  const answer = await connect(victim, "bob").approveRefund(approval);
  assert.deepEqual([answer.pending, answer.refundRequest?.status], [true, RefundRequestStatus.APPROVED]);
  const waiting = await connect(victim, "ada").refundPayment(request);
  assert.deepEqual([waiting.pending, waiting.refundRequest, await refunded(paymentId)], [true, undefined, 0n]);
  await harness.resolveAll(here.mover);
  assert.equal((await ada.refundPayment(request)).payment?.refunded?.amount, 1_000n);
  assert.equal((await bob.approveRefund(approval)).pending, false);
  await harness.assertBalance();
});

test("each act is a row of the audit log, by whom and about what, and is counted", async () => {
  const registry = new Registry();
  const metrics = new PaymentMetrics(registry);
  const process = processOf({ metrics });
  const [asking, deciding] = [connect(process, "ada"), connect(process, "bob")];
  const ids: string[] = [];
  for (let turn = 0; turn < 3; turn += 1) {
    ids.push((await rest(asked(await captured(), 1_000n), asking)).refundRequestId);
  }
  const [first = "", second = ""] = ids;
  const approval = decision(first);
  await deciding.approveRefund(approval);
  await deciding.approveRefund(approval);
  await deciding.rejectRefund(decision(second));
  await assert.rejects(deciding.rejectRefund(decision(second)));
  await harness.admin("update refund_request set expire_time = now() where state = 'waiting'");
  const expired = await process.expire();

  const log = await readAuditLog(harness.database);
  const acts = log
    .filter(({ details }) => ids.includes(details.refund_request_id ?? details.operation_id ?? ""))
    .map(({ action, actor, details }) => [action, actor, details.currency, details.amount].join(" "));
  assert.deepEqual(acts.sort(), [
    "payment.refunded ada EUR 1000",
    "refund.approved bob EUR 1000",
    "refund.expired service:payments EUR 1000",
    "refund.rejected bob EUR 1000",
    ...Array(3).fill("refund.requested ada EUR 1000"),
  ]);
  assert.ok(log.every(({ details }) => !JSON.stringify(details).includes("it broke")));

  await metrics.refreshRequests(process.approvals);
  const counts = (await registry.getSingleMetric("payments_refund_requests_total")?.get())?.values ?? [];
  const counted = Object.fromEntries(counts.map(({ labels, value }) => [labels.outcome, value]));
  assert.deepEqual(counted, { waiting: 3, approved: 1, rejected: 1, expired });
  const gauge = async (name: string) => (await registry.getSingleMetric(name)?.get())?.values[0]?.value ?? -1;
  assert.equal(await gauge("payments_refund_requests_waiting"), 0);
  await rest(asked(await captured(), 1_000n), asking);
  await harness.admin("update refund_request set create_time = now() - interval '1 hour' where state = 'waiting'");
  await metrics.refreshRequests(process.approvals);
  assert.equal(await gauge("payments_refund_requests_waiting"), 1);
  assert.ok((await gauge("payments_refund_request_age_seconds")) > 3_599);
});

test("requests are listed by payment and status, the newest first, a page at a time", async () => {
  const payments = [await captured(), await captured()];
  const made: string[] = [];
  for (let turn = 0; turn < 5; turn += 1) {
    const paymentId = payments[turn % 2] ?? "";
    made.unshift((await rest(asked(paymentId, turn < 2 ? 501n : 10n + BigInt(turn)))).refundRequestId);
    if (turn < 2) await bob.rejectRefund(decision(made[0] ?? ""));
    if (turn < 2) await ada.refundPayment(asked(paymentId, 500n));
  }
  const [paymentId = ""] = payments;
  const idsOf = (requests: readonly RefundRequest[]) => requests.map(({ refundRequestId }) => refundRequestId);
  const auditor = connect(here, "auditor");
  const all = await auditor.listRefundRequests({ paymentId });
  assert.deepEqual(idsOf(all.refundRequests), [made[0], made[2], made[4]]);
  const status = RefundRequestStatus.WAITING;
  assert.deepEqual(idsOf((await ada.listRefundRequests({ paymentId, status })).refundRequests), [made[0], made[2]]);
  const found: string[] = [];
  let pageToken = "";
  do {
    const page = await ada.listRefundRequests({ pageSize: 2, pageToken, status: RefundRequestStatus.REJECTED });
    found.push(...idsOf(page.refundRequests));
    pageToken = page.nextPageToken;
  } while (pageToken);
  assert.deepEqual(found.slice(0, 2), [made[3], made[4]]);
  assert.equal(new Set(found).size, found.length);
  const first = await ada.listRefundRequests({ pageSize: 1 });
  assert.deepEqual(idsOf(first.refundRequests), [made[0]]);
  const foreign = ada.listRefundRequests({ pageSize: 1, pageToken: first.nextPageToken, status });
  assert.equal(await reasonOf(foreign), "InvalidArgument INVALID_PAGE_TOKEN");
});
