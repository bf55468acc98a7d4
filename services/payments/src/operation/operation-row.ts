import { type AsText, type ColumnsOf, selectList, writtenColumns } from "#platform/database/columns.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { Effect, Payment } from "../payment/payment.ts";
import { type InsertedPayment, type PaymentRow, toPayment } from "../payment/payment-row.ts";
import type { Source } from "../payment/source.ts";
import type { Operation, OperationState, Ticket } from "./operation.ts";
import type { RecordedEntry } from "./operation-recording.ts";
import { type HeldInput, paidBy, type Submitted } from "./operation-request.ts";

/** One operation as a statement returns it; no column is called like one of a {@link PaymentRow}. */
export interface OperationRow {
  readonly operationId: string;
  readonly ofPaymentId: string;
  readonly kind: Effect;
  readonly operationAmount: bigint | null;
  readonly state: OperationState;
  readonly refusalCode: string;
  readonly overtaken: boolean;
  readonly attempts: number;
  readonly freed: bigint;
  readonly capturedAfter: bigint | null;
  readonly voidedAfter: bigint | null;
  readonly refundedAfter: bigint | null;
  readonly decideTime: Date | null;
  readonly alone: boolean;
  readonly actor: string;
  readonly requestId: string;
  readonly traceparent: string;
  readonly beginTime: Date;
}

/** The columns of {@link OperationRow}, of a table `payment_operation o`. */
export const operationColumns = selectList<OperationRow>(
  {
    operationId: true,
    ofPaymentId: "o.payment_id",
    kind: true,
    operationAmount: "o.amount",
    state: true,
    refusalCode: true,
    overtaken: true,
    attempts: true,
    freed: true,
    capturedAfter: true,
    voidedAfter: true,
    refundedAfter: true,
    decideTime: true,
    alone: true,
    actor: true,
    requestId: true,
    traceparent: true,
    beginTime: "o.create_time",
  },
  "o",
);

/** The domain's view of a row. */
export function toOperation(row: OperationRow): Operation {
  const { capturedAfter, voidedAfter, refundedAfter, decideTime } = row;
  return {
    operationId: encodeId(row.operationId),
    paymentId: encodeId(row.ofPaymentId),
    kind: row.kind,
    amount: row.operationAmount ?? undefined,
    state: row.state,
    refusalCode: row.refusalCode,
    overtaken: row.overtaken,
    attempts: row.attempts,
    freed: row.freed,
    after: decideTime
      ? { captured: capturedAfter ?? 0n, voided: voidedAfter ?? 0n, refunded: refundedAfter ?? 0n, decideTime }
      : undefined,
    alone: row.alone,
    source: { actor: row.actor, requestId: row.requestId, traceparent: row.traceparent },
    createTime: row.beginTime,
  };
}

/** The domain's view of an operation and its payment in one row. */
export function toTicket(row: PaymentRow & OperationRow): Ticket {
  return { payment: toPayment(row), operation: toOperation(row) };
}

/** What an authorization's operation is inserted with besides its payment's id and amount. */
interface BegunAuthorization extends ColumnsOf<Source> {
  readonly operation_id: string;
}

/** A payment with its authorization as both are inserted, and the fence that what it is a credit of is to remember. */
export type InsertedAuthorization = InsertedPayment & BegunAuthorization & { readonly source_fence: number };

/** The columns of an {@link InsertedAuthorization} that its operation has. */
export const insertedAuthorization = writtenColumns<BegunAuthorization>({
  operation_id: "uuid",
  actor: "text",
  request_id: "text",
  traceparent: "text",
});

/** A row for the statement that begins authorizations. @param credited the payment that it is a credit of; undefined: of none */
export function toInsertedAuthorization(
  input: Submitted<HeldInput>,
  operationId: string,
  credited: Payment | undefined,
): InsertedAuthorization {
  const { source } = input;
  const { cardToken, fence, gatewayReference } = paidBy(input, credited);
  return {
    payment_id: decodeId(input.paymentId),
    order_id: decodeId(input.orderId),
    customer_id: decodeId(input.customerId),
    card_token: cardToken,
    currency: input.currency,
    amount: String(input.amount),
    holds: input.holds,
    fence,
    source_id: credited && decodeId(credited.paymentId),
    gateway_reference: gatewayReference,
    source_fence: credited ? input.fence : 0,
    operation_id: decodeId(operationId),
    actor: source.actor,
    request_id: source.requestId,
    traceparent: source.traceparent,
  };
}

/** The payment's amounts after a decision, and when it was made; what is undefined is null. */
interface AfterColumns {
  readonly captured_after: string | undefined;
  readonly voided_after: string | undefined;
  readonly refunded_after: string | undefined;
  readonly decide_time: Date | undefined;
}

/** What a decision says of an operation. */
type DecidedOperation = Pick<Operation, "amount" | "state" | "refusalCode" | "overtaken" | "freed">;

/** What an operation is inserted with: all but what comes later, and what has columns of its own. */
type GivenOperation = Omit<Operation, keyof DecidedOperation | "attempts" | "after" | "source" | "createTime"> &
  Pick<Operation, "amount" | "state">;

/** A capture, void or refund as it is inserted; what is undefined is null. */
export interface InsertedChange extends AsText<ColumnsOf<GivenOperation>>, ColumnsOf<Source>, AfterColumns {
  readonly reason: string;
}

/** The columns of {@link InsertedChange}. */
export const insertedChange = writtenColumns<InsertedChange>({
  operation_id: "uuid",
  payment_id: "uuid",
  kind: "text",
  amount: "bigint",
  state: "text",
  alone: "boolean",
  reason: "text",
  captured_after: "bigint",
  voided_after: "bigint",
  refunded_after: "bigint",
  decide_time: "timestamptz",
  actor: "text",
  request_id: "text",
  traceparent: "text",
});

/** A row for the statement that begins captures, voids and refunds. */
export function toInsertedChange(operation: Operation, reason: string): InsertedChange {
  const { after, source } = operation;
  return {
    operation_id: decodeId(operation.operationId),
    payment_id: decodeId(operation.paymentId),
    kind: operation.kind,
    amount: operation.amount?.toString(),
    state: operation.state,
    alone: operation.alone,
    reason,
    captured_after: after?.captured.toString(),
    voided_after: after?.voided.toString(),
    refunded_after: after?.refunded.toString(),
    decide_time: after?.decideTime,
    actor: source.actor,
    request_id: source.requestId,
    traceparent: source.traceparent,
  };
}

/** What of an operation changes, with the operation's id; what is undefined is null. */
export interface UpdatedOperation extends AsText<ColumnsOf<DecidedOperation>>, AfterColumns {
  readonly operation_id: string;
}

/** The columns of {@link UpdatedOperation} but for the id. */
export const updatedOperation = writtenColumns<Omit<UpdatedOperation, "operation_id">>({
  amount: "bigint",
  state: "text",
  refusal_code: "text",
  overtaken: "boolean",
  freed: "bigint",
  captured_after: "bigint",
  voided_after: "bigint",
  refunded_after: "bigint",
  decide_time: "timestamptz",
});

/** A row for the statement that changes operations. */
export function toUpdatedOperation(operation: Operation): UpdatedOperation {
  const { after } = operation;
  return {
    operation_id: decodeId(operation.operationId),
    amount: operation.amount?.toString(),
    state: operation.state,
    refusal_code: operation.refusalCode,
    overtaken: operation.overtaken,
    freed: String(operation.freed),
    captured_after: after?.captured.toString(),
    voided_after: after?.voided.toString(),
    refunded_after: after?.refunded.toString(),
    decide_time: after?.decideTime,
  };
}

/** A line of the ledger as it is inserted. */
export interface InsertedEntry extends AsText<ColumnsOf<Omit<RecordedEntry, "debit" | "credit">>> {
  readonly debit_account: RecordedEntry["debit"];
  readonly credit_account: RecordedEntry["credit"];
}

/** The columns of {@link InsertedEntry}. */
export const insertedEntry = writtenColumns<InsertedEntry>({
  payment_id: "uuid",
  operation_id: "uuid",
  kind: "text",
  debit_account: "text",
  credit_account: "text",
  currency: "text",
  amount: "bigint",
});

/** A row for the statement that writes the ledger. */
export function toInsertedEntry(entry: RecordedEntry): InsertedEntry {
  return {
    payment_id: decodeId(entry.paymentId),
    operation_id: decodeId(entry.operationId),
    kind: entry.kind,
    debit_account: entry.debit,
    credit_account: entry.credit,
    currency: entry.currency,
    amount: String(entry.amount),
  };
}
