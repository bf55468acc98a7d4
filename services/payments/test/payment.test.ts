import assert from "node:assert/strict";
import { test } from "node:test";
import type { Change, Operation, Verdict } from "../src/operation/operation.ts";
import { accept } from "../src/operation/operation.ts";
import { Recording } from "../src/operation/operation-recording.ts";
import {
  entriesOf,
  heldOf,
  importedEntriesOf,
  type Payment,
  type PaymentStatus,
  statusOf,
  transitions,
} from "../src/payment/payment.ts";

const time = new Date(0);

const fresh: Payment = {
  paymentId: "P",
  orderId: "O",
  customerId: "C",
  cardToken: "tok_approve",
  currency: "EUR",
  amount: 2n,
  decision: "undecided",
  captured: 0n,
  voided: 0n,
  refunded: 0n,
  fence: 0,
  capturing: 0n,
  voiding: 0n,
  refunding: 0n,
  provider: "",
  sourceId: "",
  holds: 0,
  credited: 0n,
  closing: false,
  declineCode: "",
  gatewayReference: "",
  holdExpireTime: undefined,
  createTime: time,
  updateTime: time,
};

/** How the gateway of a walk takes captures and voids. */
type Manner = "at once" | "in turn";

const undecided = {
  refusalCode: "",
  overtaken: false,
  alone: false,
  attempts: 0,
  freed: 0n,
  after: undefined,
  source: { actor: "", requestId: "", traceparent: "" },
  createTime: new Date(0),
};

test("what another shop took is refunded by whoever took it", () => {
  const paid: Payment = { ...fresh, decision: "approved", captured: 2n, provider: "stripe", gatewayReference: "pi_1" };
  const refusal = accept(paid, { kind: "refund", amount: { currency: "EUR", amount: 1n } }, false);
  assert.ok(refusal instanceof Error);
  assert.equal(refusal.reasonName, "PAYMENT_ELSEWHERE");
  assert.deepEqual(refusal.metadata, { payment_id: "P", provider: "stripe", provider_reference: "pi_1" });
  assert.ok(!(accept({ ...paid, provider: "" }, { kind: "refund", amount: undefined }, false) instanceof Error));
  assert.deepEqual(importedEntriesOf("refund", 1n), [
    { kind: "refund", debit: "refunds", credit: "external_clearing", amount: 1n },
  ]);
});

test("the status follows from the amounts", () => {
  const approved = { ...fresh, decision: "approved" } as const;
  const cases: [Partial<Payment>, PaymentStatus][] = [
    [fresh, "pending"],
    [{ ...fresh, closing: true }, "pending"],
    [{ ...fresh, decision: "declined" }, "declined"],
    [{ ...fresh, decision: "forestalled", amount: 0n }, "voided"],
    [approved, "authorized"],
    [{ ...approved, captured: 1n }, "authorized"],
    [{ ...approved, captured: 1n, refunded: 1n }, "authorized"],
    [{ ...approved, captured: 1n, voided: 1n }, "captured"],
    [{ ...approved, captured: 2n, refunded: 1n }, "captured"],
    [{ ...approved, captured: 1n, voided: 1n, refunded: 1n }, "refunded"],
    [{ ...approved, voided: 2n }, "voided"],
  ];
  for (const [given, expected] of cases) assert.equal(statusOf({ ...fresh, ...given }), expected);
});

test("every effect moves money between two accounts, or none when nothing moved", () => {
  for (const effect of ["authorize", "capture", "void", "refund"] as const) {
    for (const entry of entriesOf(effect, 5n)) {
      assert.notEqual(entry.debit, entry.credit);
      assert.equal(entry.amount, 5n);
    }
    assert.deepEqual(entriesOf(effect, 0n), []);
  }
});

interface State {
  readonly payment: Payment;
  readonly open: readonly Operation[];
  /** The sum of the ledger's entries by account. */
  readonly ledger: Readonly<Record<string, bigint>>;
  readonly begun: number;
}

const changes: Change[] = (["capture", "void", "refund"] as const).flatMap((kind) =>
  [1n, 2n, undefined].map((amount) => ({
    kind,
    amount: amount === undefined ? undefined : { currency: "EUR", amount },
  })),
);
const verdicts: Verdict[] = [
  { approved: true, reference: "R" },
  { approved: false, code: "no" },
];

function begin(state: State, asked: Change, manner: Manner): State | undefined {
  if (state.open.length === 4 || state.begun === 6) return undefined;
  const accepted = accept(state.payment, asked, manner === "in turn");
  if (accepted instanceof Error) return undefined;
  const { payment, amount, state: first } = accepted;
  const next = { ...state, payment, begun: state.begun + 1 };
  if (first === "succeeded") return next;
  const operation: Operation = {
    ...undecided,
    operationId: String(next.begun),
    paymentId: "P",
    kind: asked.kind,
    amount,
    state: first,
  };
  return { ...next, open: [...state.open, operation] };
}

function decide(state: State, operation: Operation, { verdict, manner }: { verdict: Verdict; manner: Manner }): State {
  const recording = new Recording([state.payment], state.open, { time, inTurn: manner === "in turn" });
  recording.settle({ operation, verdict });
  recording.promote();
  const { operations, entries } = recording.changes();
  const changed = new Map(operations.map((entry) => [entry.operationId, entry]));
  const open = state.open.map((entry) => changed.get(entry.operationId) ?? entry).filter((entry) => !entry.after);
  const ledger: Record<string, bigint> = { ...state.ledger };
  for (const { debit, credit, amount } of entries) {
    ledger[debit] = (ledger[debit] ?? 0n) + amount;
    ledger[credit] = (ledger[credit] ?? 0n) - amount;
  }
  return { ...state, payment: recording.payment("P"), open, ledger };
}

function nextStates(state: State, manner: Manner): State[] {
  const begun = changes.map((asked) => begin(state, asked, manner)).filter((next) => next !== undefined);
  const pending = state.open.filter((operation) => operation.state === "pending");
  return [
    ...begun,
    ...pending.flatMap((operation) => verdicts.map((verdict) => decide(state, operation, { verdict, manner }))),
  ];
}

/** What the accounts have of a payment: a credit is owed until it is captured or given back, and was never held by the gateway. */
function balancesOf(payment: Payment): Record<string, bigint> {
  const { amount, captured, voided, refunded, decision } = payment;
  const held = heldOf(payment);
  if (payment.sourceId === "") {
    const hold = { authorized_funds: held, held_for_customers: -held, customer_credit: 0n };
    return { ...hold, gateway_clearing: captured - refunded, sales: -captured, refunds: refunded };
  }
  const made = decision === "approved" ? amount : 0n;
  return {
    authorized_funds: 0n,
    customer_credit: -held,
    gateway_clearing: -voided - refunded,
    sales: -captured,
    refunds: made + refunded,
  };
}

function assertSound({ payment, open, ledger }: State, manner: Manner): void {
  const { amount, captured, voided, refunded, capturing, voiding, refunding } = payment;
  assert.ok(captured + voided + capturing + voiding <= amount);
  assert.ok(refunded + refunding <= captured);
  const sum = (kind: string) =>
    open.reduce((total, operation) => total + (operation.kind === kind ? (operation.amount ?? 0n) : 0n), 0n);
  assert.deepEqual([capturing, voiding, refunding], [sum("capture"), sum("void"), sum("refund")]);
  for (const [account, balance] of Object.entries(balancesOf(payment)))
    assert.equal(ledger[account] ?? 0n, balance, account);
  const waits = open.some((operation) => operation.state === "waiting");
  assert.ok(!waits || open.some((operation) => operation.state === "pending"), "nothing waits for nothing");
  const underWay = open.filter(({ kind, state }) => state === "pending" && (kind === "capture" || kind === "void"));
  const goesInTurn = payment.holds > 0 || (manner === "in turn" && payment.sourceId === "");
  if (goesInTurn) assert.ok(underWay.length <= 1, "one is under way at a time");
  if (payment.holds > 0 && captured > 0n) assert.equal(heldOf(payment), 0n, "what a capture leaves is free");
  const toBeEmptied = open.some((operation) => operation.state === "waiting" && operation.amount === undefined);
  const capture = accept(payment, { kind: "capture", amount: { currency: "EUR", amount: 1n } }, false);
  assert.ok(!toBeEmptied || capture instanceof Error, "nothing is captured once all that is left is to be voided");
}

for (const manner of ["at once", "in turn"] as const) {
  test(`every order of requests and verdicts keeps the amounts sound and walks exactly the transition table, ${manner}`, () =>
    walk(fresh, manner));

  test(`so does every one on a credit, ${manner}`, () => walk({ ...fresh, sourceId: "S" }, manner));

  // Its first capture ends the hold: it is never paid back while something is held.
  test(`so does every one on what is captured once, ${manner}`, () =>
    walk({ ...fresh, holds: 1 }, manner, "authorized → refunded"));
}

function walk(payment: Payment, manner: Manner, never = ""): void {
  const authorize: Operation = {
    ...undecided,
    operationId: "0",
    paymentId: "P",
    kind: "authorize",
    amount: 2n,
    state: "pending",
  };
  const key = (state: State) =>
    JSON.stringify(state, (_, value) => (typeof value === "bigint" ? String(value) : value));
  const first: State = { payment, open: [authorize], ledger: {}, begun: 0 };
  const seen = new Set([key(first)]);
  const walked = new Set<string>();
  for (const queue = [first]; queue.length > 0; ) {
    const state = queue.pop() as State;
    assertSound(state, manner);
    for (const next of nextStates(state, manner)) {
      const [from, to] = [statusOf(state.payment), statusOf(next.payment)];
      if (from !== to) walked.add(`${from} → ${to}`);
      if (seen.has(key(next))) continue;
      seen.add(key(next));
      queue.push(next);
    }
  }
  const allowed = Object.entries(transitions).flatMap(([from, places]) => places.map((to) => `${from} → ${to}`));
  assert.deepEqual([...walked].sort(), allowed.filter((each) => each !== never).sort());
  assert.ok(seen.size > 500, `${seen.size} states`);
}

test("a void that comes while the authorization is undecided leaves nothing held, whatever the gateway says", () => {
  for (const verdict of verdicts) {
    const authorize: Operation = {
      ...undecided,
      operationId: "0",
      paymentId: "P",
      kind: "authorize",
      amount: 2n,
      state: "pending",
    };
    let state = begin(
      { payment: fresh, open: [authorize], ledger: {}, begun: 0 },
      { kind: "void", amount: undefined },
      "at once",
    );
    assert.ok(state);
    state = decide(state, authorize, { verdict, manner: "at once" });
    const [operation] = state.open;
    if (operation) state = decide(state, operation, { verdict: { approved: true, reference: "V" }, manner: "at once" });
    assert.deepEqual([heldOf(state.payment), state.open], [0n, []]);
  }
});

test("a void of too much says what may be voided, also while the authorization is undecided", () => {
  const approved = { ...fresh, decision: "approved" } as const;
  const cases: [Payment, string][] = [
    [fresh, "2"],
    [{ ...fresh, voiding: 2n }, "0"],
    [{ ...fresh, closing: true }, "0"],
    [approved, "2"],
    [{ ...approved, capturing: 1n, voiding: 1n }, "0"],
  ];
  for (const [payment, available] of cases) {
    const refusal = accept(payment, { kind: "void", amount: { currency: "EUR", amount: 3n } }, false);
    assert.ok(refusal instanceof Error);
    assert.equal(refusal.metadata.available, available);
  }
});

test("a change is in the payment's currency, also when that is none, or nothing was ever held", () => {
  const other = { currency: "USD", amount: 1n };
  const payments: Partial<Payment>[] = [
    { decision: "approved" },
    { decision: "approved", captured: 2n },
    { decision: "approved", currency: "XXX" },
    { decision: "declined" },
  ];
  for (const given of payments) {
    for (const kind of ["capture", "void", "refund"] as const) {
      const refused = accept({ ...fresh, ...given }, { kind, amount: other }, false);
      assert.ok(refused instanceof Error, `${kind} of ${JSON.stringify(given, (_, value) => String(value))}`);
      assert.equal(refused.reasonName, "CURRENCY_MISMATCH");
    }
  }
  const forestalled = { ...fresh, decision: "forestalled", currency: "XXX", amount: 0n } as const;
  assert.ok(!(accept(forestalled, { kind: "void", amount: other }, false) instanceof Error), "it has no currency");
});
