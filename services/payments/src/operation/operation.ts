import {
  declined,
  exceedsAuthorization,
  exceedsCapture,
  mismatch,
  notAuthorized,
  type PaymentError,
  paidElsewhere,
  refundNotApproved,
  voidedBefore,
} from "../payment/errors.ts";
import {
  availableOf,
  claimedOf,
  creditMovements,
  type Effect,
  type EntryDraft,
  entriesOf,
  heldOf,
  isCapturedOnce,
  movements,
  type Payment,
  refundableOf,
  voidableOf,
} from "../payment/payment.ts";
import type { Source } from "../payment/source.ts";
import type { RefundRequest, Resting } from "../refund/refund-request.ts";

/**
 * Where one call to the gateway stands. `waiting`: not sent, because something before it is undecided. `pending`: it may
 * have been sent. `succeeded` and `refused`: decided, for good.
 */
export type OperationState = "waiting" | "pending" | "succeeded" | "refused";

/** One effect that was asked for. It is committed before the gateway is called; its id, as a uuid, is the gateway's key. */
export interface Operation {
  readonly operationId: string;
  readonly paymentId: string;
  readonly kind: Effect;
  /** Minor units; undefined while `waiting`: all that will be left. */
  readonly amount: bigint | undefined;
  readonly state: OperationState;
  /** Why the gateway refused; empty otherwise. */
  readonly refusalCode: string;
  /** An authorization that was approved after everything was to be voided: its caller is told PAYMENT_VOIDED. */
  readonly overtaken: boolean;
  /** How often the resolver has tried. */
  readonly attempts: number;
  /** What of the hold a capture gave free besides, because nothing else can be captured of it. */
  readonly freed: bigint;
  /** The payment's amounts right after the decision; undefined before. */
  readonly after: After | undefined;
  /** Whether one person wanted it, and no second one had to: only of refunds. */
  readonly alone: boolean;
  /** Who wanted it. */
  readonly source: Source;
  /** When it was accepted. */
  readonly createTime: Date;
}

/** An operation with its payment. */
export interface Ticket {
  readonly operation: Operation;
  readonly payment: Payment;
}

/** What a repetition of the request is answered with, even when the payment moved on since. */
export interface After {
  readonly captured: bigint;
  readonly voided: bigint;
  readonly refunded: bigint;
  readonly decideTime: Date;
}

/** A capture, void or refund as it is asked for. */
export interface Change {
  readonly kind: "capture" | "void" | "refund";
  /** Not given: all that is left. */
  readonly amount: { readonly currency: string; readonly amount: bigint } | undefined;
}

/** How a change begins: the payment with the amount set aside for it, and the operation's first state. */
export interface Accepted {
  readonly payment: Payment;
  readonly amount: bigint | undefined;
  readonly state: "waiting" | "pending" | "succeeded";
}

/**
 * Decides whether a change may begin, and sets its amount aside. Never throws: a refusal is a value.
 *
 * @param inTurn whether it has to wait for captures and voids that are undecided
 */
export function accept(payment: Payment, change: Change, inTurn: boolean): Accepted | PaymentError {
  const { amount: asked, kind } = change;
  // One that was forestalled never learned its currency.
  const neverHad = payment.decision === "forestalled";
  if (asked && asked.currency !== payment.currency && !neverHad) return mismatch(payment, asked.currency);
  const neverHeld = neverHad || payment.decision === "declined";
  if (kind === "void" && neverHeld) return { payment, amount: 0n, state: "succeeded" };
  if (kind === "refund") return acceptRefund(payment, asked?.amount);
  const first = goesInTurn(payment, inTurn) && claimedOf(payment) > 0n ? "waiting" : "pending";
  if (kind === "capture") return acceptCapture(payment, asked?.amount, first);
  return asked ? acceptPartialVoid(payment, asked.amount, first) : acceptFullVoid(payment);
}

/** Of what is captured once, voids have to be decided before the capture: it gives free the rest, whatever that is. */
function goesInTurn(payment: Payment, inTurn: boolean): boolean {
  return isCapturedOnce(payment) || (inTurn && payment.sourceId === "");
}

function acceptCapture(payment: Payment, asked: bigint | undefined, state: Accepted["state"]): Accepted | PaymentError {
  if (heldOf(payment) === 0n) return notAuthorized(payment);
  const amount = asked ?? availableOf(payment);
  if (amount > availableOf(payment)) return exceedsAuthorization(payment, amount, availableOf(payment));
  if (amount === 0n) return { payment, amount, state: "succeeded" };
  return { payment: { ...payment, capturing: payment.capturing + amount }, amount, state };
}

function acceptRefund(payment: Payment, asked: bigint | undefined): Accepted | PaymentError {
  if (payment.provider !== "") return paidElsewhere(payment);
  const available = refundableOf(payment);
  const amount = asked ?? available;
  if (amount > available || available === 0n) return exceedsCapture(payment, amount);
  if (amount === 0n) return { payment, amount, state: "succeeded" };
  return { payment: { ...payment, refunding: payment.refunding + amount }, amount, state: "pending" };
}

function acceptPartialVoid(payment: Payment, amount: bigint, first: Accepted["state"]): Accepted | PaymentError {
  if (amount === 0n) return { payment, amount, state: "succeeded" };
  if (amount > voidableOf(payment)) return exceedsAuthorization(payment, amount, voidableOf(payment));
  const state = payment.decision === "undecided" ? "waiting" : first;
  return { payment: { ...payment, voiding: payment.voiding + amount }, amount, state };
}

/** It waits for whatever is undecided, so that what a refused capture gives back is voided too. */
function acceptFullVoid(payment: Payment): Accepted {
  const closed = { ...payment, closing: true };
  if (payment.decision === "undecided") return { payment: closed, amount: undefined, state: "waiting" };
  const held = heldOf(payment);
  if (held === 0n) return { payment, amount: 0n, state: "succeeded" };
  if (claimedOf(payment) > 0n || payment.closing) return { payment: closed, amount: undefined, state: "waiting" };
  return { payment: { ...closed, voiding: held }, amount: held, state: "pending" };
}

/** What the gateway decided. */
export type Verdict =
  | {
      readonly approved: true;
      readonly reference: string;
      /** Of an authorization: when the gateway gives free what is still held, if it says so. */
      readonly holdExpireTime?: Date | undefined;
    }
  | { readonly approved: false; readonly code: string };

/** What a verdict changes. */
export interface Settlement {
  readonly payment: Payment;
  readonly operation: Operation;
  readonly entries: readonly EntryDraft[];
}

/** Applies the gateway's verdict on a pending operation. */
export function settle(before: Payment, operation: Operation, at: { verdict: Verdict; time: Date }): Settlement {
  const amount = operation.amount ?? 0n;
  const { verdict, time } = at;
  const released = release(before, operation.kind, amount);
  const frees = verdict.approved && operation.kind === "capture" && isCapturedOnce(before);
  const freed = frees ? heldOf(before) - amount : 0n;
  const changed = verdict.approved
    ? approve(released, operation.kind, { amount, freed, verdict })
    : refuse(released, operation, verdict.code);
  const payment = { ...changed, updateTime: time };
  return {
    payment,
    operation: {
      ...decided(operation, payment, time),
      state: verdict.approved ? "succeeded" : "refused",
      refusalCode: verdict.approved ? "" : verdict.code,
      freed,
      overtaken: operation.kind === "authorize" && verdict.approved && before.closing,
    },
    entries: verdict.approved ? entriesWith(before, operation.kind, { amount, freed }) : [],
  };
}

/** What a capture gives free ends the hold with what it takes. */
function entriesWith(
  { sourceId }: Payment,
  kind: Effect,
  { amount, freed }: { readonly amount: bigint; readonly freed: bigint },
): EntryDraft[] {
  return entriesOf(kind, amount, sourceId ? creditMovements : movements).map((entry) =>
    entry.kind === "authorization_end" ? { ...entry, amount: entry.amount + freed } : entry,
  );
}

function decided(operation: Operation, payment: Payment, time: Date): Operation {
  const { captured, voided, refunded } = payment;
  return { ...operation, after: { captured, voided, refunded, decideTime: time } };
}

function release(payment: Payment, kind: Effect, amount: bigint): Payment {
  if (kind === "capture") return { ...payment, capturing: payment.capturing - amount };
  if (kind === "void") return { ...payment, voiding: payment.voiding - amount };
  if (kind === "refund") return { ...payment, refunding: payment.refunding - amount };
  return payment;
}

/** What the gateway approved. */
interface Done {
  readonly amount: bigint;
  readonly freed: bigint;
  readonly verdict: Verdict & { readonly approved: true };
}

function approve(payment: Payment, kind: Effect, done: Done): Payment {
  if (kind === "capture") {
    return { ...payment, captured: payment.captured + done.amount, voided: payment.voided + done.freed };
  }
  if (kind === "void") return { ...payment, voided: payment.voided + done.amount };
  if (kind === "refund") return { ...payment, refunded: payment.refunded + done.amount };
  const { reference: gatewayReference, holdExpireTime } = done.verdict;
  return { ...payment, decision: "approved", gatewayReference, holdExpireTime };
}

/** A void that the gateway refuses opens the payment again, or nothing could ever be done with it. */
function refuse(payment: Payment, operation: Operation, code: string): Payment {
  if (operation.kind === "authorize") return { ...payment, decision: "declined", declineCode: code };
  return operation.kind === "void" ? { ...payment, closing: false } : payment;
}

/** Takes back a refund that has failed after it was approved: the gateway has the money again. Undefined where there is none to take back. */
export function revoke(
  before: Payment,
  operation: Operation,
  at: { code: string; time: Date },
): Settlement | undefined {
  const { kind, state, amount = 0n } = operation;
  if (kind !== "refund" || state !== "succeeded" || amount === 0n) return undefined;
  return {
    payment: { ...before, refunded: before.refunded - amount, updateTime: at.time },
    operation: { ...operation, state: "refused", refusalCode: at.code },
    entries: [{ kind: "refund_failure", debit: "gateway_clearing", credit: "refunds", amount }],
  };
}

/** How what waits is let go. */
export interface Promoting {
  readonly time: Date;
  /** Whether captures and voids of a payment go one after the other. */
  readonly inTurn: boolean;
}

/** What may go now that something before it was decided. */
export interface Promotion {
  readonly payment: Payment;
  /** Those that changed: `pending` ones are to be sent, `succeeded` ones had nothing left to do. */
  readonly operations: readonly Operation[];
}

/** Lets what waits go, once nothing that it waits for is undecided. `waiting` is ordered, the oldest first. */
export function promote(before: Payment, waiting: readonly Operation[], { time, inTurn }: Promoting): Promotion {
  if (before.decision === "undecided" || waiting.length === 0) return { payment: before, operations: [] };
  if (before.decision !== "approved") return endWaiting(before, waiting, time);
  let payment = before;
  const operations: Operation[] = [];
  for (const operation of nextOf(before, waiting, inTurn)) operations.push({ ...operation, state: "pending" });
  for (const operation of waiting.filter(({ amount }) => amount === undefined)) {
    // Also behind a void that was refused: as long as this one waits, nobody else may take what is left.
    payment = { ...payment, closing: true };
    if (claimedOf(payment) > 0n) break;
    const left = heldOf(payment);
    payment = { ...payment, voiding: left };
    const next: Operation = { ...operation, amount: left, state: left > 0n ? "pending" : "succeeded" };
    operations.push(left > 0n ? next : decided(next, payment, time));
  }
  return { payment, operations };
}

/** Those with an amount that may be sent now: all, or, where they go in turn, the oldest once none is under way; the only capture that there can be is the last. */
function nextOf(payment: Payment, waiting: readonly Operation[], inTurn: boolean): readonly Operation[] {
  const known = waiting.filter(({ amount }) => amount !== undefined);
  if (!inTurn && !isCapturedOnce(payment)) return known;
  const claims = known.reduce((sum, { amount = 0n }) => sum + amount, 0n);
  if (claimedOf(payment) > claims) return [];
  const before = isCapturedOnce(payment) ? known.filter(({ kind }) => kind !== "capture") : [];
  return (before.length > 0 ? before : known).slice(0, 1);
}

/** The authorization was declined: nothing is held, and what was to be voided is free already. */
function endWaiting(before: Payment, waiting: readonly Operation[], time: Date): Promotion {
  const payment = { ...before, voiding: 0n };
  const done = waiting.map((operation): Operation => ({ ...operation, amount: 0n, state: "succeeded" }));
  return { payment, operations: done.map((operation) => decided(operation, payment, time)) };
}

/** What the operation's caller is told: the payment, or why not. `pending` while it is not decided. */
export function outcomeOf(payment: Payment, operation: Operation): Outcome | PaymentError {
  if (!operation.after) return { payment, pending: true };
  if (operation.state === "refused") return declined(payment, operation.refusalCode);
  if (operation.overtaken) return voidedBefore(payment.paymentId);
  const { decideTime, ...amounts } = operation.after;
  return { payment: { ...payment, ...amounts, updateTime: decideTime }, pending: false };
}

/** What is told to whom a refund needs a second person. One who approves makes it an operation, which is told by {@link outcomeOf}. */
export function restingOutcome({ request, payment }: Resting): Outcome | PaymentError {
  const { state } = request;
  if (state === "rejected" || state === "expired") return refundNotApproved(request);
  return { payment, pending: true, request };
}

/** The answer to a request that was not refused. */
export interface Outcome {
  readonly payment: Payment;
  /** The gateway has not decided, or a second person has not. */
  readonly pending: boolean;
  /** What waits for a second person. */
  readonly request?: RefundRequest | undefined;
}
