import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { type PaymentRecord, PaymentRecordSchema } from "#gen/shop/payments/v1/import_record_pb.js";
import { type AuditEntry, type AuditOrigin, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { writtenColumns } from "#platform/database/columns.ts";
import { fingerprint } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable, Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import type { ImportRecord, Refusal } from "#platform/import/import-record.ts";
import type { Outcome } from "#platform/import/import-run.ts";
import { type Effect, importedEntriesOf } from "../payment/payment.ts";

/** An order that was imported, as orders shows it to whoever keeps the books. */
interface PaidOrder {
  readonly externalId: string;
  /** A uuid, as is the next. */
  readonly orderId: string;
  readonly customerId: string;
  readonly currency: string;
  readonly total: bigint;
}

/** $1 source, $2 external ids; asked of the database of orders. */
const findOrders: SqlText = {
  name: "payment_import_orders",
  text: `select i.external_id as "externalId", i.order_id as "orderId", i.customer_id as "customerId", o.currency, o.total
    from imported_order i join customer_order o using (order_id) where i.source = $1 and i.external_id = any($2::text[])`,
};

/** $1 source, $2 external ids. */
const findKnown: SqlText = {
  name: "payment_import_known",
  text: `select external_id as "externalId", fingerprint from imported_payment
    where source = $1 and external_id = any($2::text[])`,
};

/** $1 order ids: what was charged for them. */
const findCharged: SqlText = {
  name: "payment_import_charged",
  text: `select order_id as "orderId", sum(captured)::bigint as captured from payment where order_id = any($1::uuid[]) group by order_id`,
};

/** A payment as it is inserted, by the names of its columns; amounts as text. */
interface InsertedPayment {
  readonly payment_id: string;
  readonly order_id: string;
  readonly customer_id: string;
  readonly currency: string;
  readonly captured: string;
  readonly refunded: string;
  readonly provider: string;
  readonly gateway_reference: string;
  readonly create_time: Date;
  readonly update_time: Date;
  readonly external_id: string;
  /** In hexadecimal. */
  readonly fingerprint: string;
}

/** What was done with it, elsewhere. */
interface InsertedOperation {
  readonly operation_id: string;
  readonly payment_id: string;
  readonly kind: Effect;
  readonly amount: string;
  readonly captured_after: string;
  readonly refunded_after: string;
  readonly decide_time: Date;
}

/** A line of the ledger. */
interface InsertedEntry {
  readonly payment_id: string;
  readonly operation_id: string;
  readonly kind: string;
  readonly debit_account: string;
  readonly credit_account: string;
  readonly currency: string;
  readonly amount: string;
  readonly create_time: Date;
}

const payments = writtenColumns<InsertedPayment>({
  payment_id: "uuid",
  order_id: "uuid",
  customer_id: "uuid",
  currency: "text",
  captured: "bigint",
  refunded: "bigint",
  provider: "text",
  gateway_reference: "text",
  create_time: "timestamptz",
  update_time: "timestamptz",
  external_id: "text",
  fingerprint: "text",
});
const operations = writtenColumns<InsertedOperation>({
  operation_id: "uuid",
  payment_id: "uuid",
  kind: "text",
  amount: "bigint",
  captured_after: "bigint",
  refunded_after: "bigint",
  decide_time: "timestamptz",
});
const entries = writtenColumns<InsertedEntry>({
  payment_id: "uuid",
  operation_id: "uuid",
  kind: "text",
  debit_account: "text",
  credit_account: "text",
  currency: "text",
  amount: "bigint",
  create_time: "timestamptz",
});

/** $1 payments, $2 operations, $3 ledger, $4 audit events, $5 source, $6 actor, $7 request id. Nothing of it is pending: nobody asks a gateway. */
const insertPayments: SqlText = {
  name: "payment_import",
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(${payments.typed})
  ), paid as (
    insert into payment (payment_id, order_id, customer_id, card_token, currency, amount, decision, captured, refunded, provider,
      gateway_reference, create_time, update_time)
    select payment_id, order_id, customer_id, '', currency, captured, 'approved', captured, refunded, provider,
      gateway_reference, create_time, update_time from input
  ), done as (
    insert into payment_operation (${operations.names}, state, next_attempt_time, voided_after, create_time, actor, request_id)
    select ${operations.names}, 'succeeded', decide_time, 0, decide_time, $6, $7
    from json_to_recordset($2::json) as o(${operations.typed})
  ), entered as (
    insert into ledger_entry (${entries.names}) select ${entries.names} from json_to_recordset($3::json) as e(${entries.typed})
  ), audited as (${insertAuditEvents("$4")})
  insert into imported_payment (source, external_id, payment_id, fingerprint)
  select $5, external_id, payment_id, decode(fingerprint, 'hex') from input`,
};

/** Before it there was nothing to import. */
const earliest = Date.UTC(1990, 0);

/** What is wrong with a payment besides the rules of its fields. */
export function judgePayment({ message }: ImportRecord<PaymentRecord>): Refusal | undefined {
  const { captured, refunded, captureTime, refundTime } = message;
  const [charged, back] = [captured?.amount ?? 0n, refunded?.amount ?? 0n];
  if (charged === 0n)
    return { reason: "INVALID", field: "captured", message: "captured is nothing: leave the payment out" };
  if (refunded && refunded.currency !== captured?.currency)
    return { reason: "CURRENCY_MISMATCH", field: "refunded", message: "refunded is not in the currency of captured" };
  if (back > charged)
    return { reason: "EXCEEDS_CAPTURE", field: "refunded", message: "refunded is more than was captured" };
  if (back > 0n !== (refundTime !== undefined))
    return {
      reason: "INVALID",
      field: "refundTime",
      message: "refundTime and an amount that was refunded go together",
    };
  return wrongTime("captureTime", captureTime, earliest) ?? wrongTime("refundTime", refundTime, msOf(captureTime));
}

function wrongTime(field: string, time: Timestamp | undefined, from: number): Refusal | undefined {
  const ms = time ? msOf(time) : from;
  if (ms >= from && ms <= Date.now()) return undefined;
  const why = ms < from ? `is before ${new Date(from).toISOString()}` : "is in the future";
  return { reason: "WRONG_TIME", field, message: `${field} ${why}` };
}

function msOf(time: Timestamp | undefined): number {
  return time ? timestampDate(time).getTime() : earliest;
}

/** A payment with everything that is written of it. */
interface Writing {
  readonly payment: InsertedPayment;
  readonly operations: readonly InsertedOperation[];
  readonly entries: readonly InsertedEntry[];
  readonly audit: AuditEntry;
}

/** What payments of a chunk are judged by. */
interface Known {
  readonly payments: Map<string, Buffer>;
  readonly orders: ReadonlyMap<string, PaidOrder>;
  /** By order. */
  readonly charged: Map<string, bigint>;
}

/** Writes payments that another shop took. */
export class ImportedPayments {
  readonly #source: string;
  readonly #orders: Queryable;
  readonly #origin: AuditOrigin;

  /** @param orders the database of orders, by a role that may read what the books compare */
  constructor(source: string, orders: Queryable, origin: AuditOrigin) {
    this.#source = source;
    this.#orders = orders;
    this.#origin = origin;
  }

  /** For each record what came of it. */
  async write(tx: Transaction, records: readonly ImportRecord<PaymentRecord>[]): Promise<Outcome[]> {
    const known = await this.#known(tx, records);
    const writings: Writing[] = [];
    const outcomes = records.map(({ externalId, message }): Outcome => {
      const print = fingerprint(PaymentRecordSchema, message);
      const before = known.payments.get(externalId);
      if (before) return before.equals(print) ? "known" : otherContent(externalId);
      const order = known.orders.get(message.orderExternalId);
      if (!order) return unknownOrder(message.orderExternalId);
      const refusal = exceeding(message, order, known.charged);
      if (refusal) return refusal;
      known.payments.set(externalId, print);
      writings.push(this.#toWriting(message, order, print));
      return "imported";
    });
    if (writings.length > 0) await this.#insert(tx, writings);
    return outcomes;
  }

  async #known(tx: Transaction, records: readonly ImportRecord<PaymentRecord>[]): Promise<Known> {
    type Row = { readonly externalId: string; readonly fingerprint: Buffer };
    const ids = records.map(({ externalId }) => externalId);
    const wanted = new Set(records.map(({ message }) => message.orderExternalId));
    const orders = await this.#orders.query<PaidOrder>(findOrders, [this.#source, [...wanted]]);
    const rows = await tx.query<Row>(findKnown, [this.#source, ids]);
    const charged = await tx.query<{ orderId: string; captured: bigint }>(findCharged, [
      orders.map(({ orderId }) => orderId),
    ]);
    return {
      payments: new Map(rows.map((row) => [row.externalId, row.fingerprint])),
      orders: new Map(orders.map((order) => [order.externalId, order])),
      charged: new Map(charged.map(({ orderId, captured }) => [orderId, captured])),
    };
  }

  async #insert(tx: Transaction, writings: readonly Writing[]): Promise<void> {
    const { actor, requestId } = this.#origin;
    await tx.query(insertPayments, [
      JSON.stringify(writings.map(({ payment }) => payment)),
      JSON.stringify(writings.flatMap((writing) => writing.operations)),
      JSON.stringify(writings.flatMap((writing) => writing.entries)),
      auditEvents(writings.map(({ audit }) => audit)),
      this.#source,
      actor,
      requestId,
    ]);
  }

  #toWriting(record: PaymentRecord, order: PaidOrder, print: Buffer): Writing {
    const { orderId, customerId, currency } = order;
    const { provider, providerReference, externalId } = record;
    const [captured, refunded] = [record.captured?.amount ?? 0n, record.refunded?.amount ?? 0n];
    const [captureTime, refundTime] = [msOf(record.captureTime), msOf(record.refundTime ?? record.captureTime)];
    const paymentId = newId(undefined, captureTime);
    const payment: InsertedPayment = {
      payment_id: decodeId(paymentId),
      order_id: orderId,
      customer_id: customerId,
      currency,
      captured: String(captured),
      refunded: String(refunded),
      provider,
      gateway_reference: providerReference,
      create_time: new Date(captureTime),
      update_time: new Date(refundTime),
      external_id: externalId,
      fingerprint: print.toString("hex"),
    };
    const done = operationsOf(payment, { captureTime, refundTime });
    const details = { provider, currency, amount: String(captured), refunded: String(refunded) };
    const audit: AuditEntry = {
      action: "payment.imported",
      orderId: encodeId(orderId),
      subject: paymentId,
      details,
      origin: this.#origin,
    };
    return { payment, operations: done, entries: done.flatMap((each) => entriesOfOperation(each, currency)), audit };
  }
}

/** It was authorized and charged at once, as far as we know, and given back at once if it was. */
function operationsOf(
  { payment_id, captured, refunded }: InsertedPayment,
  at: { readonly captureTime: number; readonly refundTime: number },
): InsertedOperation[] {
  const of = (kind: Effect, amount: string, after: readonly [captured: string, refunded: string]) => ({
    operation_id: decodeId(newId(undefined, at.captureTime)),
    payment_id,
    kind,
    amount,
    captured_after: after[0],
    refunded_after: after[1],
    decide_time: new Date(kind === "refund" ? at.refundTime : at.captureTime),
  });
  const back = refunded === "0" ? [] : [of("refund", refunded, [captured, refunded])];
  return [of("authorize", captured, ["0", "0"]), of("capture", captured, [captured, "0"]), ...back];
}

function entriesOfOperation(operation: InsertedOperation, currency: string): InsertedEntry[] {
  const { payment_id, operation_id, decide_time } = operation;
  return importedEntriesOf(operation.kind, BigInt(operation.amount)).map(({ kind, debit, credit, amount }) => ({
    payment_id,
    operation_id,
    kind,
    debit_account: debit,
    credit_account: credit,
    currency,
    amount: String(amount),
    create_time: decide_time,
  }));
}

/** Notes what is charged, unless it is too much. */
function exceeding(
  { captured, orderExternalId }: PaymentRecord,
  { orderId, currency, total }: PaidOrder,
  charged: Map<string, bigint>,
): Refusal | undefined {
  const field = "captured";
  if (captured?.currency !== currency)
    return { reason: "CURRENCY_MISMATCH", field, message: `captured is not in ${currency}, the currency of its order` };
  const all = (charged.get(orderId) ?? 0n) + captured.amount;
  if (all > total) {
    const message = `the payments of order ${orderExternalId} are more than its total, this one among them`;
    return { reason: "EXCEEDS_ORDER", field, message };
  }
  charged.set(orderId, all);
  return undefined;
}

function unknownOrder(externalId: string): Refusal {
  const message = `there is no order ${externalId} that was imported from this source: import it first, then this file again`;
  return { reason: "UNKNOWN_ORDER", field: "orderExternalId", message };
}

function otherContent(externalId: string): Refusal {
  const message = `payment ${externalId} was imported before, and said something else: what is imported is not changed`;
  return { reason: "OTHER_CONTENT", message };
}
