import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Registry } from "prom-client";
import type { AuditEvent } from "#platform/audit/audit-event.ts";
import { runInContext } from "#platform/context.ts";
import { encodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import { PaymentMetrics } from "../src/move/metrics.ts";
import type { MoneyMover } from "../src/move/money-mover.ts";
import type { AuthorizeInput } from "../src/operation/operation-request.ts";
import { authorization, change, type Harness, openHarness, unreachable } from "./harness.ts";

let harness: Harness;
before(async () => {
  harness = await openHarness({ slowMs: 1_500 });
});
after(() => harness[Symbol.asyncDispose]());

interface Decided {
  operation_id: string;
  order_id: string;
  payment_id: string;
  kind: "authorize" | "capture" | "void" | "refund";
  state: "succeeded" | "refused";
  amount: string;
  refusal_code: string;
  request_id: string;
}

/** What the tables say that was done: each operation that the gateway has decided. */
function decided(): Promise<Decided[]> {
  return harness.admin<Decided>(`select o.operation_id, p.order_id, p.payment_id, o.kind, o.state, o.amount,
      o.refusal_code, o.request_id
    from payment_operation o join payment p using (payment_id)
    where o.state in ('succeeded', 'refused') and o.amount > 0 order by o.operation_id`);
}

const names: Record<string, string> = {
  "authorize succeeded": "payment.authorized",
  "authorize refused": "payment.declined",
  "capture succeeded": "payment.captured",
  "capture refused": "payment.capture_refused",
  "void succeeded": "payment.voided",
  "void refused": "payment.void_refused",
  "refund succeeded": "payment.refunded",
  "refund refused": "payment.refund_refused",
};

function asEvent(row: Decided): Partial<AuditEvent> {
  const details = {
    operation_id: encodeId(row.operation_id),
    currency: "EUR",
    amount: row.amount,
    ...(row.state === "refused" ? { decline_code: row.refusal_code } : {}),
  };
  const ids = { orderId: encodeId(row.order_id), subject: encodeId(row.payment_id), requestId: row.request_id };
  return { ...ids, action: names[`${row.kind} ${row.state}`] ?? "", details };
}

const cards = [
  "tok_approve",
  "tok_decline",
  "tok_timeout_after_success",
  "tok_error_500",
  "tok_capture_decline",
  "tok_void_decline",
  "tok_capture_timeout_after_success",
  "tok_refund_decline",
];

/** Asks for everything twice at the same time, in two processes; what is pending is left to the resolver. */
async function twice(replicas: MoneyMover[], ask: (mover: MoneyMover) => Promise<unknown>) {
  await Promise.allSettled(replicas.map(ask));
}

test("after concurrent load, repeated requests and lost answers, the log has each effect once, as the tables do", async () => {
  const registry = new Registry();
  const metrics = new PaymentMetrics(registry);
  const replicas = [harness.mover({ metrics }), harness.mover({ metrics })];
  const inputs = Array.from({ length: 48 }, (_, index) => authorization({ cardToken: cards[index % cards.length] }));
  await Promise.all(inputs.map((input) => twice(replicas, (mover) => mover.authorize(input))));
  await harness.resolveAll(harness.mover({ metrics }));
  for (const kind of ["capture", "void", "refund"] as const) {
    const amount = kind === "void" ? {} : { amount: 300n };
    const asked = inputs.map(({ paymentId }) => change(kind, paymentId, amount));
    await Promise.all(asked.map((each) => twice(replicas, (mover) => mover.change(each))));
    await harness.resolveAll(harness.mover({ metrics }));
  }

  const rows = await decided();
  assert.ok(rows.length > 150, `${rows.length} operations`);
  const log = await readAuditLog(harness.database);
  const bare = log.map(({ orderId, subject, requestId, action, details }) => ({
    orderId,
    subject,
    requestId,
    action,
    details,
  }));
  const byId = (a: Partial<AuditEvent>, b: Partial<AuditEvent>) =>
    (a.details?.operation_id ?? "") < (b.details?.operation_id ?? "") ? -1 : 1;
  assert.deepEqual(bare.sort(byId), rows.map(asEvent).sort(byId));

  // The ledger knows of money that moved, the log of refusals too.
  const [ledger] = await harness.admin<{ count: string; sum: string }>(
    "select count(*), sum(amount) from ledger_entry where kind <> 'authorization_end'",
  );
  const [voids] = await harness.admin<{ count: string; sum: string }>(
    "select count(*), sum(amount) from payment_operation where kind = 'void' and state = 'succeeded' and amount > 0",
  );
  const moved = log.filter(({ action }) => /\.(authorized|captured|voided|refunded)$/.test(action));
  assert.equal(moved.length, Number(ledger?.count) + Number(voids?.count));
  const total = moved.reduce((sum, { details }) => sum + BigInt(details.amount ?? ""), 0n);
  assert.equal(total, BigInt(ledger?.sum ?? "0") + BigInt(voids?.sum ?? "0"));

  const counted = async (name: string, labels: Record<string, string>) => {
    const values = (await registry.getSingleMetric(name)?.get())?.values ?? [];
    return values
      .filter((value) => Object.entries(labels).every(([key, label]) => value.labels[key] === label))
      .reduce((sum, { value }) => sum + value, 0);
  };
  for (const kind of ["authorize", "capture", "void", "refund"] as const) {
    const of = (state: string) => rows.filter((row) => row.kind === kind && row.state === state);
    for (const outcome of ["succeeded", "refused"]) {
      assert.equal(
        await counted("payments_operations_total", { kind, outcome }),
        of(outcome).length,
        `${kind} ${outcome}`,
      );
    }
    const sum = of("succeeded").reduce((amount, row) => amount + Number(row.amount), 0);
    assert.equal(await counted("payments_amount_total", { kind, currency: "EUR" }), sum);
  }
  assert.ok((await counted("payments_gateway_duration_seconds", { kind: "find", outcome: "approved" })) > 0);
  assert.ok((await counted("payments_gateway_duration_seconds", { kind: "capture", outcome: "declined" })) > 0);
  const written = await registry.metrics();
  for (const card of cards) assert.ok(!written.includes(card));
});

test("what another process carries on is written as caused by who wanted it", async () => {
  const config = { PAYMENTS_ANSWER_WITHIN_MS: 20, GATEWAY_TIMEOUT_MS: 50, GATEWAY_MAX_INFLIGHT: 4 };
  const cut = harness.mover({ gateway: unreachable(), config });
  const input: AuthorizeInput = authorization({ requestId: `${newId()}:authorize` });
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const context = { actor: "u-1", traceParent: `00-${traceId}-00f067aa0ba902b7-01` };
  assert.equal((await runInContext(context, () => cut.authorize(input))).pending, true);
  await harness.resolveAll(harness.mover());
  const log = await readAuditLog(harness.database);
  const event = log.find(({ subject }) => subject === input.paymentId);
  assert.deepEqual(
    [event?.action, event?.actor, event?.requestId, event?.traceId, event?.orderId],
    ["payment.authorized", "u-1", input.requestId, traceId, input.orderId],
  );
});

test("nothing of the card is in the log", async () => {
  const log = JSON.stringify(await readAuditLog(harness.database));
  assert.ok(log.length > 1_000);
  assert.doesNotMatch(log, /tok_|pm_/);
});

test("a currency that there is not does not become a label", async () => {
  const registry = new Registry();
  const mover = harness.mover({ metrics: new PaymentMetrics(registry) });
  for (const currency of ["EUR", "QQA", "QQB", "QQC"]) await mover.authorize(authorization({ currency }));
  const values = (await registry.getSingleMetric("payments_amount_total")?.get())?.values ?? [];
  assert.deepEqual(
    new Map(values.map(({ labels, value }) => [labels.currency, value])),
    new Map([
      ["EUR", 1000],
      ["other", 3000],
    ]),
  );
});
