import { idempotencyColumns, type Keyed } from "#platform/database/idempotency.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { Payment } from "../payment/payment.ts";
import { idTaken, notFound, voidedBefore } from "../payment/refusals.ts";
import { accept, type Change, type Operation } from "./operation.ts";
import type { Entry, Ticket } from "./operation-recording.ts";
import { type PaymentRow, toPayment } from "./operation-row.ts";
import { findPayments, unclaimRequests } from "./operation-statements.ts";
import type { Source, Submitted } from "./source.ts";

/** An authorization as it is asked for. Ids are text, the amount is minor units. */
export interface AuthorizeInput extends Keyed {
  readonly paymentId: string;
  readonly orderId: string;
  readonly customerId: string;
  readonly currency: string;
  readonly amount: bigint;
  readonly cardToken: string;
}

/** A capture, void or refund as it is asked for. */
export interface ChangeInput extends Keyed, Change {
  readonly paymentId: string;
  /** For the record; empty: none. */
  readonly reason: string;
}

/** A request that was accepted: now, with its ticket, or before. */
export interface Begun {
  readonly operationId: string;
  readonly ticket?: Ticket;
}

/** The methods that request ids belong to. */
export const methods = {
  authorize: "AuthorizePayment",
  capture: "CapturePayment",
  void: "VoidPayment",
  refund: "RefundPayment",
} as const;

/** The parameters that claim the inputs' request ids, each with the operation that it began. */
export function claims(method: string, inputs: readonly Keyed[], operationIds: readonly string[]): unknown[] {
  const rows = inputs.map(({ requestId, fingerprint }, index) => {
    return { requestId, fingerprint, response: Buffer.from(operationIds[index] ?? "") };
  });
  return [method, ...idempotencyColumns(rows)];
}

/** The operation that a request id began before. */
export function decodeClaim(response: Buffer): Begun {
  return { operationId: response.toString() };
}

/** A row for `insertPayments`. Amounts travel as text: JSON numbers are floating point. */
export function paymentInsert(input: Submitted<AuthorizeInput>, operationId: string): object {
  return {
    payment_id: decodeId(input.paymentId),
    order_id: decodeId(input.orderId),
    customer_id: decodeId(input.customerId),
    card_token: input.cardToken,
    currency: input.currency,
    amount: String(input.amount),
    operation_id: decodeId(operationId),
    ...sourceColumns(input.source),
  };
}

function sourceColumns({ actor, requestId, traceparent }: Source): object {
  return { actor, request_id: requestId, traceparent };
}

/** A row for the statements that update payments. */
export function paymentUpdate(payment: Payment): object {
  return {
    payment_id: decodeId(payment.paymentId),
    decision: payment.decision,
    captured: String(payment.captured),
    voided: String(payment.voided),
    refunded: String(payment.refunded),
    capturing: String(payment.capturing),
    voiding: String(payment.voiding),
    refunding: String(payment.refunding),
    closing: payment.closing,
    decline_code: payment.declineCode,
    gateway_reference: payment.gatewayReference,
    update_time: payment.updateTime,
  };
}

/** A row for the statement that begins operations. */
export function operationInsert(operation: Operation, reason: string): object {
  return { ...operationRow(operation), reason, ...sourceColumns(operation.source) };
}

/** A row for the statement that changes operations. */
export function operationRow(operation: Operation): object {
  const { after } = operation;
  return {
    operation_id: decodeId(operation.operationId),
    payment_id: decodeId(operation.paymentId),
    kind: operation.kind,
    amount: operation.amount?.toString(),
    state: operation.state,
    refusal_code: operation.refusalCode,
    overtaken: operation.overtaken,
    captured_after: after?.captured.toString(),
    voided_after: after?.voided.toString(),
    refunded_after: after?.refunded.toString(),
    decide_time: after?.decideTime,
  };
}

/** A row of the ledger. */
export function entryRow(entry: Entry): object {
  return {
    payment_id: decodeId(entry.paymentId),
    operation_id: decodeId(entry.operationId),
    kind: entry.kind,
    debit: entry.debit,
    credit: entry.credit,
    currency: entry.currency,
    amount: String(entry.amount),
  };
}

/** An authorization that was just committed. */
export function newTicket(input: Submitted<AuthorizeInput>, operationId: string, createTime: Date): Ticket {
  const { paymentId, orderId, customerId, currency, amount, cardToken, source } = input;
  const none = { captured: 0n, voided: 0n, refunded: 0n, capturing: 0n, voiding: 0n, refunding: 0n };
  const unknown = { closing: false, declineCode: "", gatewayReference: "", createTime, updateTime: createTime };
  const payment: Payment = {
    ...{ paymentId, orderId, customerId, cardToken, currency, amount },
    ...none,
    ...unknown,
    decision: "undecided",
  };
  const begun = { operationId, paymentId, amount, source, createTime } as const;
  return { payment, operation: newOperation({ ...begun, kind: "authorize", state: "pending" }) };
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

/** Takes back the claims of authorizations whose payment exists already; says for each payment why. */
export async function refuseExisting(tx: Transaction, inputs: readonly AuthorizeInput[]): Promise<Map<string, Error>> {
  const [, rows] = await Promise.all([
    tx.query(unclaimRequests, [methods.authorize, inputs.map((input) => input.requestId)]),
    tx.query<PaymentRow>(findPayments, [inputs.map((input) => decodeId(input.paymentId))]),
  ]);
  return new Map(
    rows.map((row) => {
      const { decision } = toPayment(row);
      const paymentId = encodeId(row.payment_id);
      return [paymentId, decision === "forestalled" ? voidedBefore(paymentId) : idTaken(paymentId)];
    }),
  );
}
