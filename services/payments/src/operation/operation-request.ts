import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { requestContext } from "#platform/context.ts";
import type { Keyed } from "#platform/database/idempotency.ts";
import { notFound } from "../payment/errors.ts";
import type { Payment } from "../payment/payment.ts";
import type { GivenPayment } from "../payment/payment-row.ts";
import { accept, type Change, type Operation, type Source, type Ticket } from "./operation.ts";

/** An authorization as it is asked for. Ids are text, the amount is minor units. */
export interface AuthorizeInput extends Keyed, GivenPayment {}

/** A capture, void or refund as it is asked for. */
export interface ChangeInput extends Keyed, Change {
  readonly paymentId: string;
  /** For the record; empty: none. */
  readonly reason: string;
}

/** An input together with who wants it. */
export type Submitted<I> = I & { readonly source: Source };

/** The input together with who wants it: whoever the running call serves. */
export function submitted<I extends Keyed>(input: I): Submitted<I> {
  const { actor, requestId } = auditOrigin(input.requestId);
  return { ...input, source: { actor, requestId, traceparent: requestContext().traceParent ?? "" } };
}

/** A request that was accepted: now, with its ticket, or before. */
export interface Begun {
  readonly operationId: string;
  readonly ticket?: Ticket;
}

/** An authorization that was just committed. */
export function newAuthorization(input: Submitted<AuthorizeInput>, operationId: string, createTime: Date): Ticket {
  const { paymentId, orderId, customerId, currency, amount, cardToken, source } = input;
  const payment: Payment = {
    paymentId,
    orderId,
    customerId,
    cardToken,
    currency,
    amount,
    decision: "undecided",
    captured: 0n,
    voided: 0n,
    refunded: 0n,
    capturing: 0n,
    voiding: 0n,
    refunding: 0n,
    closing: false,
    declineCode: "",
    gatewayReference: "",
    createTime,
    updateTime: createTime,
  };
  const operation = newOperation({
    operationId,
    paymentId,
    kind: "authorize",
    amount,
    state: "pending",
    source,
    createTime,
  });
  return { payment, operation };
}

type NewOperation = Omit<Operation, "refusalCode" | "overtaken" | "attempts" | "after">;

function newOperation(given: NewOperation): Operation {
  return { ...given, refusalCode: "", overtaken: false, attempts: 0, after: undefined };
}

/** Begins one change of a locked payment and puts the payment's new state into `payments`. */
export function beginChange(
  payments: Map<string, Payment>,
  input: Submitted<ChangeInput>,
  at: { operationId: string; time: Date },
): Ticket | Error {
  const { paymentId, kind, source } = input;
  const before = payments.get(paymentId);
  if (!before) return notFound(paymentId);
  const accepted = accept(before, input);
  if (accepted instanceof Error) return accepted;
  const { amount, state } = accepted;
  const payment = { ...accepted.payment, updateTime: state === "succeeded" ? at.time : before.updateTime };
  payments.set(paymentId, payment);
  const { operationId, time: createTime } = at;
  const operation = newOperation({ operationId, paymentId, kind, amount, state, source, createTime });
  if (state !== "succeeded") return { payment, operation };
  const { captured, voided, refunded } = payment;
  return { payment, operation: { ...operation, after: { captured, voided, refunded, decideTime: at.time } } };
}
