import { auditEvents } from "#platform/audit/audit-entry.ts";
import type { Database } from "#platform/database/database.ts";
import { replayable } from "#platform/database/idempotency.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import { idTaken } from "../payment/refusals.ts";
import type { Change, Operation } from "./operation.ts";
import { type Decided, Recording, type Ticket } from "./operation-recording.ts";
import {
  type AuthorizeInput,
  type Begun,
  beginChange,
  type ChangeInput,
  claims,
  decodeClaim as decode,
  entryRow,
  methods,
  newTicket,
  operationInsert,
  operationRow,
  paymentInsert,
  paymentUpdate,
  refuseExisting,
} from "./operation-request.ts";
import { type OperationRow, type PaymentRow, toOperation, toPayment } from "./operation-row.ts";
import * as statements from "./operation-statements.ts";
import type { Submitted } from "./source.ts";

/** What the repository needs of a database. */
export type Transactions = Pick<Database, "query" | "transaction">;

/** What came of recording decisions. */
export interface Recorded {
  /** One for each input. */
  readonly recorded: Ticket[];
  /** What may be sent now, or was decided in consequence. */
  readonly consequences: Ticket[];
  /** Ids of the operations that changed: another process may have recorded the same decision before. */
  readonly changed: ReadonlySet<string>;
}

/** Writes what was asked and what was decided, for many payments in one transaction. */
export class OperationRepository {
  readonly #database: Transactions;
  readonly #leaseMs: number;

  /** @param leaseMs how long the process that begins an operation may take until others care for it */
  constructor(database: Transactions, leaseMs: number) {
    this.#database = database;
    this.#leaseMs = leaseMs;
  }

  /** Commits authorizations before the gateway hears of them. No two inputs are of the same payment. */
  beginAuthorizations(inputs: Submitted<AuthorizeInput>[]): Promise<(Begun | Error)[]> {
    const method = methods.authorize;
    const run = (list: Submitted<AuthorizeInput>[]) => this.#insertPayments(list);
    return replayable({ database: this.#database, method, run, decode })(inputs);
  }

  /** Commits changes of one kind, their amounts set aside, before the gateway hears of them. */
  beginChanges(kind: Change["kind"], inputs: Submitted<ChangeInput>[]): Promise<(Begun | Error)[]> {
    const run = (list: Submitted<ChangeInput>[]) =>
      this.#database.transaction((tx) => this.#insertChanges(tx, kind, list));
    return replayable({ database: this.#database, method: methods[kind], run, decode })(inputs);
  }

  /**
   * Records what the gateway decided: payment, operation and ledger in one transaction. What is recorded already stays
   * as it is. Returns a ticket per input, and what may be sent or was decided in consequence.
   */
  record(inputs: readonly Decided[]): Promise<Recorded> {
    return this.#database.transaction((tx) => this.#record(tx, inputs));
  }

  /** Operations by id, in no order; those that do not exist are missing. */
  async find(operationIds: readonly string[]): Promise<Ticket[]> {
    const rows = await this.#database.query<PaymentRow & OperationRow>(statements.findTickets, [
      operationIds.map(decodeId),
    ]);
    return rows.map(toTicket);
  }

  /** Leases undecided operations that nobody works at any more. */
  async claimDue(limit: number): Promise<Ticket[]> {
    const values = [limit, this.#leaseMs];
    return (await this.#database.query<PaymentRow & OperationRow>(statements.claimDue, values)).map(toTicket);
  }

  /** Leaves operations undecided until later. */
  async postpone(entries: readonly { operationId: string; pauseMs: number }[]): Promise<void> {
    const ids = entries.map((entry) => decodeId(entry.operationId));
    await this.#database.query(statements.postpone, [ids, entries.map((entry) => entry.pauseMs)]);
  }

  /** How many operations are undecided, and since when the oldest is. */
  async backlog(): Promise<{ undecided: number; oldest: Date | undefined }> {
    const [row] = await this.#database.query<{ undecided: bigint; oldest: Date | null }>(statements.backlog);
    return { undecided: Number(row?.undecided ?? 0n), oldest: row?.oldest ?? undefined };
  }

  async #insertPayments(inputs: Submitted<AuthorizeInput>[]): Promise<(Begun | Error)[]> {
    const operations = inputs.map(() => newId());
    return this.#database.transaction(async (tx) => {
      const rows = JSON.stringify(inputs.map((input, index) => paymentInsert(input, operations[index] ?? "")));
      const [, added] = await Promise.all([
        tx.query(statements.claimRequests, claims(methods.authorize, inputs, operations)),
        tx.query<{ payment_id: string; create_time: Date }>(statements.insertPayments, [rows, this.#leaseMs]),
      ]);
      const times = new Map(added.map((row) => [encodeId(row.payment_id), row.create_time]));
      const refused = inputs.filter((input) => !times.has(input.paymentId));
      const reasons = refused.length > 0 ? await refuseExisting(tx, refused) : undefined;
      return inputs.map((input, index) => {
        const time = times.get(input.paymentId);
        const operationId = operations[index] ?? "";
        if (!time) return reasons?.get(input.paymentId) ?? idTaken(input.paymentId);
        return { operationId, ticket: newTicket(input, operationId, time) };
      });
    });
  }

  async #insertChanges(
    tx: Transaction,
    kind: Change["kind"],
    inputs: Submitted<ChangeInput>[],
  ): Promise<(Begun | Error)[]> {
    const ids = inputs.map(() => newId());
    const paymentIds = [...new Set(inputs.map((input) => decodeId(input.paymentId)))];
    const [, , rows] = await Promise.all([
      tx.query(statements.claimRequests, claims(methods[kind], inputs, ids)),
      kind === "void" ? tx.query(statements.forestallPayments, [paymentIds]) : undefined,
      tx.query<PaymentRow & { now: Date }>(statements.lockPayments, [paymentIds]),
    ]);
    const payments = new Map(rows.map((row) => [encodeId(row.payment_id), toPayment(row)]));
    const time = rows[0]?.now ?? new Date();
    const results = inputs.map((input, index) => beginChange(payments, input, { operationId: ids[index] ?? "", time }));
    const begun = results.flatMap((result, index) => {
      return result instanceof Error ? [] : [operationInsert(result.operation, inputs[index]?.reason ?? "")];
    });
    const changed = new Set(results.flatMap((result) => (result instanceof Error ? [] : [result.payment.paymentId])));
    const refused = inputs.filter((_, index) => results[index] instanceof Error);
    await tx.commitWith(statements.beginChanges, [
      JSON.stringify([...payments.values()].filter((payment) => changed.has(payment.paymentId)).map(paymentUpdate)),
      JSON.stringify(begun),
      this.#leaseMs,
      methods[kind],
      refused.map((input) => input.requestId),
      paymentIds,
    ]);
    return results.map((ticket) => {
      return ticket instanceof Error ? ticket : { operationId: ticket.operation.operationId, ticket };
    });
  }

  async #record(tx: Transaction, inputs: readonly Decided[]): Promise<Recorded> {
    const paymentIds = [...new Set(inputs.map(({ operation }) => decodeId(operation.paymentId)))];
    const operationIds = inputs.map(({ operation }) => decodeId(operation.operationId));
    const [rows, operationRows] = await Promise.all([
      tx.query<PaymentRow & { now: Date }>(statements.lockPayments, [paymentIds]),
      tx.query<OperationRow>(statements.findForRecording, [operationIds, paymentIds]),
    ]);
    const decisions = new Recording(rows.map(toPayment), operationRows.map(toOperation), rows[0]?.now ?? new Date());
    const done = inputs.map((input) => decisions.settle(input));
    const promoted = decisions.promote();
    const { payments, operations, entries, events } = decisions.changes();
    await tx.commitWith(statements.recordDecisions, [
      JSON.stringify(payments.map(paymentUpdate)),
      JSON.stringify(operations.map((operation) => operationRow(operation))),
      this.#leaseMs,
      JSON.stringify(entries.map(entryRow)),
      paymentIds,
      operations.map((operation) => decodeId(operation.operationId)),
      auditEvents(events),
    ]);
    const ticket = (operation: Operation) => ({ operation, payment: decisions.payment(operation.paymentId) });
    const changed = new Set(operations.map(({ operationId }) => operationId));
    return { recorded: done.map(ticket), consequences: promoted.map(ticket), changed };
  }
}

function toTicket(row: PaymentRow & OperationRow): Ticket {
  return { payment: toPayment(row), operation: toOperation(row) };
}
