import { auditEvents } from "#platform/audit/audit-entry.ts";
import type { Database } from "#platform/database/database.ts";
import {
  idempotencyColumns,
  type Keyed,
  type KeySpace,
  keyMethod,
  replayable,
} from "#platform/database/idempotency.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { type Fenced, isOver } from "#platform/fence.ts";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import { CreditJudge } from "../payment/credit-judge.ts";
import { episodeOver, idTaken, voidedBefore } from "../payment/errors.ts";
import { type PaymentRow, toPayment, toUpdatedPayment } from "../payment/payment-row.ts";
import { refundEntry } from "../refund/refund-audit.ts";
import { RefundJudge } from "../refund/refund-judge.ts";
import type { RefundLimits } from "../refund/refund-limits.ts";
import { isResting, type Resting } from "../refund/refund-request.ts";
import { toInsertedRequest } from "../refund/refund-request-row.ts";
import * as requests from "../refund/refund-request-statements.ts";
import type { Change, Operation, Ticket } from "./operation.ts";
import { originOf } from "./operation-audit.ts";
import { type Decided, Recording } from "./operation-recording.ts";
import {
  type AuthorizeInput,
  type Begun,
  beginChange,
  type ChangeInput,
  type HeldInput,
  heldFor,
  newAuthorization,
  type Submitted,
  type Wanted,
} from "./operation-request.ts";
import {
  type OperationRow,
  toInsertedAuthorization,
  toInsertedChange,
  toInsertedEntry,
  toOperation,
  toTicket,
  toUpdatedOperation,
} from "./operation-row.ts";
import * as statements from "./operation-statements.ts";

/** What the repository needs of a database. */
export type Transactions = Pick<Database, "query" | "transaction">;

/** How operations are begun. */
export interface OperationOptions {
  /** How long the process that begins an operation may take until others care for it, in milliseconds. */
  readonly leaseMs: number;
  /** Where it is known whether captures and voids of a payment go one after the other, and whether it is captured once. */
  readonly gateway: { readonly inTurn: boolean; capturesOnce(): Promise<boolean> };
  /** What may be refunded without a second person. */
  readonly limits: Pick<RefundLimits, "of">;
  /** How long a refund waits for a second person, in milliseconds. */
  readonly approvalWithinMs: number;
}

/** What came of recording decisions. */
export interface Recorded {
  /** One for each input. */
  readonly recorded: Ticket[];
  /** What may be sent now, or was decided in consequence. */
  readonly consequences: Ticket[];
  /** Ids of the operations that changed: another process may have recorded the same decision before. */
  readonly changed: ReadonlySet<string>;
}

/** The request ids of authorizations: each customer has ids of its own. */
const authorizationKeys: KeySpace<AuthorizeInput> = {
  method: "AuthorizePayment",
  scope: ({ customerId }) => customerId,
};

const methods = { capture: "CapturePayment", void: "VoidPayment", refund: "RefundPayment" } as const;

/** The request ids of what is done with a payment belong to it. */
const changeKeys: KeySpace<ChangeInput> = { method: ({ kind }) => methods[kind], scope: ({ paymentId }) => paymentId };

/** Writes what was asked and what was decided, for many payments in one transaction. */
export class OperationRepository {
  readonly #database: Transactions;
  readonly #options: OperationOptions;
  readonly #leaseMs: number;

  constructor(database: Transactions, options: OperationOptions) {
    this.#database = database;
    this.#options = options;
    this.#leaseMs = options.leaseMs;
  }

  /** Commits authorizations before the gateway hears of them. No two inputs are of the same payment. */
  async beginAuthorizations(inputs: Submitted<AuthorizeInput>[]): Promise<(Begun | Error)[]> {
    const once = await this.#options.gateway.capturesOnce();
    const held = (batch: Submitted<AuthorizeInput>[]) => batch.map((input) => heldFor(input, once));
    return await replayable<Submitted<AuthorizeInput>, Begun>({
      database: this.#database,
      ...authorizationKeys,
      run: (batch) => this.#database.transaction((tx) => this.#insertPayments(tx, held(batch))),
      decode: decodeClaim,
      onRepeated: (batch) =>
        this.#refuseOver(batch.map(({ paymentId, sourceId, fence }) => ({ paymentId: sourceId || paymentId, fence }))),
    })(inputs);
  }

  /** Commits changes of one kind, their amounts set aside, before the gateway hears of them. */
  beginChanges(kind: Change["kind"], inputs: Submitted<ChangeInput>[]): Promise<(Begun | Error)[]> {
    return replayable<Submitted<ChangeInput>, Begun>({
      database: this.#database,
      ...changeKeys,
      run: (batch) => this.#database.transaction((tx) => this.#insertChanges(tx, kind, batch)),
      decode: decodeClaim,
      onRepeated: (batch) => this.#refuseOver(batch),
    })(inputs);
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
    const ids = operationIds.map(decodeId);
    const rows = await this.#database.query<PaymentRow & OperationRow>(statements.findTickets, [ids]);
    return rows.map(toTicket);
  }

  /** Leases undecided operations that nobody works at any more. */
  async claimDue(limit: number): Promise<Ticket[]> {
    const values = [limit, this.#leaseMs];
    const rows = await this.#database.query<PaymentRow & OperationRow>(statements.claimDue, values);
    return rows.map(toTicket);
  }

  /** Leaves operations undecided until later. */
  async postpone(entries: readonly { operationId: string; pauseMs: number }[]): Promise<void> {
    const ids = entries.map((entry) => decodeId(entry.operationId));
    await this.#database.query(statements.postpone, [ids, entries.map((entry) => entry.pauseMs)]);
  }

  /** How many operations are undecided, and for how many seconds the oldest is; 0 when there is none. */
  async backlog(): Promise<{ undecided: number; ageSeconds: number }> {
    const [row] = await this.#database.query<{ undecided: bigint; age: number | null }>(statements.backlog);
    return { undecided: Number(row?.undecided ?? 0n), ageSeconds: row?.age ?? 0 };
  }

  /**
   * Remembers the episodes that repetitions come from: one that is answered as an earlier one was builds on what that did, which nobody is to
   * undo any more. Says which come from an episode that is over.
   */
  async #refuseOver(inputs: readonly (Fenced & { paymentId: string })[]): Promise<(Error | undefined)[]> {
    const asked = inputs.filter(({ fence }) => fence > 0);
    if (asked.length === 0) return [];
    const values = [asked.map(({ paymentId }) => decodeId(paymentId)), asked.map(({ fence }) => fence)];
    const higher = await this.#database.query<statements.HigherFence>(statements.raiseFences, values);
    const highest = new Map(higher.map((row) => [encodeId(row.paymentId), row.fence]));
    return inputs.map((input) => {
      const seen = highest.get(input.paymentId) ?? 0;
      return isOver(input, seen) ? episodeOver(input.paymentId, input, seen) : undefined;
    });
  }

  async #insertPayments(tx: Transaction, inputs: Submitted<HeldInput>[]): Promise<(Begun | Error)[]> {
    const operations = inputs.map(() => newId());
    const credits = await this.#judgeCredits(tx, inputs);
    const refusals = inputs.map((input) => credits.judge(input));
    const rows = inputs.flatMap((input, index) =>
      refusals[index] ? [] : [toInsertedAuthorization(input, operations[index] ?? "", credits.sourceOf(input))],
    );
    const [, added] = await Promise.all([
      tx.query(statements.claimRequests, claims(authorizationKeys, inputs, operations)),
      tx.query<statements.AddedPayment>(statements.insertPayments, [JSON.stringify(rows), this.#leaseMs]),
    ]);
    const rowOf = new Map(added.map((row) => [encodeId(row.paymentId), row]));
    const refused = inputs.filter((input) => !rowOf.get(input.paymentId)?.createTime);
    const reasons = refused.length > 0 ? await this.#refuseExisting(tx, refused) : undefined;
    return inputs.map((input, index) => {
      const { createTime: time, higherFence } = rowOf.get(input.paymentId) ?? {};
      if (higherFence) return episodeOver(input.paymentId, input, higherFence);
      const operationId = operations[index] ?? "";
      if (!time) return reasons?.get(input.paymentId) ?? refusals[index] ?? idTaken(input.paymentId);
      const made = { createTime: time, credited: credits.sourceOf(input) };
      return { operationId, ticket: newAuthorization(input, operationId, made) };
    });
  }

  /** Locks what payments are to be credits of; nothing where a card pays all of them. */
  async #judgeCredits(tx: Transaction, inputs: readonly AuthorizeInput[]): Promise<CreditJudge> {
    const ids = [...new Set(inputs.flatMap(({ sourceId }) => (sourceId === "" ? [] : [decodeId(sourceId)])))];
    const rows = ids.length > 0 ? await tx.query<statements.LockedPayment>(statements.lockPayments, [ids]) : [];
    return new CreditJudge(rows.map(toPayment));
  }

  /** Takes back the claims of authorizations whose payment exists already; says for each payment why. */
  async #refuseExisting(tx: Transaction, inputs: readonly AuthorizeInput[]): Promise<Map<string, Error>> {
    const [, rows] = await Promise.all([
      tx.query(statements.unclaimRequests, keysOf(authorizationKeys, inputs)),
      tx.query<PaymentRow>(statements.findPayments, [inputs.map((input) => decodeId(input.paymentId))]),
    ]);
    const fences = new Map(inputs.map((input) => [input.paymentId, input]));
    return new Map(
      rows.map(({ paymentId: uuid, decision, fence }) => {
        const paymentId = encodeId(uuid);
        const input = fences.get(paymentId) ?? { fence: 0 };
        if (isOver(input, fence)) return [paymentId, episodeOver(paymentId, input, fence)];
        return [paymentId, decision === "forestalled" ? voidedBefore(paymentId) : idTaken(paymentId)];
      }),
    );
  }

  async #insertChanges(
    tx: Transaction,
    kind: Change["kind"],
    inputs: Submitted<ChangeInput>[],
  ): Promise<(Begun | Error)[]> {
    const ids = inputs.map(() => newId());
    const paymentIds = [...new Set(inputs.map((input) => decodeId(input.paymentId)))];
    const [, , rows] = await Promise.all([
      tx.query(statements.claimRequests, claims(changeKeys, inputs, ids)),
      kind === "void" ? tx.query(statements.forestallPayments, [paymentIds]) : undefined,
      tx.query<statements.LockedPayment>(statements.lockPayments, [paymentIds]),
    ]);
    const payments = new Map(rows.map((row) => [encodeId(row.paymentId), toPayment(row)]));
    const time = timeOf(rows);
    const { inTurn } = this.#options.gateway;
    const expireTime = new Date(time.getTime() + this.#options.approvalWithinMs);
    const judge = await this.#judgeOf(tx, kind, inputs);
    const results = inputs.map((input, index) =>
      beginChange(payments, input, { operationId: ids[index] ?? "", time, inTurn, judge, expireTime }),
    );
    const begun = results.flatMap((result, index) =>
      isTicket(result) ? [toInsertedChange(result.operation, inputs[index]?.reason ?? "")] : [],
    );
    const changed = new Set(results.flatMap((result) => (result instanceof Error ? [] : [result.payment.paymentId])));
    const refused = inputs.filter((_, index) => results[index] instanceof Error);
    await this.#rest(tx, inputs, results);
    await tx.commitWith(statements.beginChanges, [
      JSON.stringify([...payments.values()].filter((payment) => changed.has(payment.paymentId)).map(toUpdatedPayment)),
      JSON.stringify(begun),
      this.#leaseMs,
      ...keysOf(changeKeys, refused),
      paymentIds,
    ]);
    return results.map((result, index) => {
      if (result instanceof Error) return result;
      const operationId = ids[index] ?? "";
      return isTicket(result) ? { operationId, ticket: result } : { operationId, resting: result };
    });
  }

  /** What payments that are locked have left to be refunded without a second person; nobody asks where all inputs are the saga's. */
  async #judgeOf(tx: Transaction, kind: Change["kind"], inputs: Submitted<ChangeInput>[]): Promise<RefundJudge> {
    const judged = kind === "refund" ? inputs.filter(({ asker }) => asker !== undefined) : [];
    const ids = [...new Set(judged.map(({ paymentId }) => decodeId(paymentId)))];
    const rows = ids.length > 0 ? await tx.query<requests.UnapprovedRow>(requests.findUnapproved, [ids]) : [];
    return new RefundJudge(this.#options.limits, new Map(rows.map((row) => [encodeId(row.paymentId), row])));
  }

  /** Has those of the inputs wait that need a second person. */
  async #rest(
    tx: Transaction,
    inputs: readonly Wanted[],
    results: readonly (Ticket | Resting | Error)[],
  ): Promise<void> {
    const rows = results.flatMap((result) => (isResting(result) ? [toInsertedRequest(result.request)] : []));
    if (rows.length === 0) return;
    const events = results.flatMap((result, index) => {
      if (!isResting(result)) return [];
      const onBehalfOf = inputs[index]?.onBehalfOf;
      return [refundEntry(result, { ...originOf(result.request.source), ...(onBehalfOf && { onBehalfOf }) })];
    });
    await tx.query(requests.insertRefundRequests, [JSON.stringify(rows), auditEvents(events)]);
  }

  async #record(tx: Transaction, inputs: readonly Decided[]): Promise<Recorded> {
    const paymentIds = [...new Set(inputs.map(({ operation }) => decodeId(operation.paymentId)))];
    const operationIds = inputs.map(({ operation }) => decodeId(operation.operationId));
    const [rows, operationRows] = await Promise.all([
      tx.query<statements.LockedPayment>(statements.lockPayments, [paymentIds]),
      tx.query<OperationRow>(statements.findForRecording, [operationIds, paymentIds]),
    ]);
    const { inTurn } = this.#options.gateway;
    const promoting = { time: timeOf(rows), inTurn };
    const recording = new Recording(rows.map(toPayment), operationRows.map(toOperation), promoting);
    const done = inputs.map((input) => recording.settle(input));
    const promoted = recording.promote();
    const { payments, operations, entries, events } = recording.changes();
    await tx.commitWith(statements.recordDecisions, [
      JSON.stringify(payments.map(toUpdatedPayment)),
      JSON.stringify(operations.map(toUpdatedOperation)),
      this.#leaseMs,
      JSON.stringify(entries.map(toInsertedEntry)),
      paymentIds,
      operations.map((operation) => decodeId(operation.operationId)),
      auditEvents(events),
    ]);
    const ticket = (operation: Operation) => ({ operation, payment: recording.payment(operation.paymentId) });
    const changed = new Set(operations.map(({ operationId }) => operationId));
    return { recorded: done.map(ticket), consequences: promoted.map(ticket), changed };
  }
}

/** The transaction's time by the database's clock. Where no payment is, nothing is done that would have a time. */
function timeOf(rows: readonly statements.LockedPayment[]): Date {
  return rows[0]?.now ?? new Date(Number.NaN);
}

/** The parameters that claim the inputs' request ids, each with the operation that it began. */
function claims<I extends Keyed>(space: KeySpace<I>, inputs: readonly I[], operationIds: readonly string[]): unknown[] {
  const rows = inputs.map((input, index) => {
    const { requestId, fingerprint } = input;
    const method = keyMethod(space, input);
    return { method, requestId, fingerprint, response: Buffer.from(operationIds[index] ?? "") };
  });
  return idempotencyColumns(rows);
}

/** The two columns of the inputs' keys. */
function keysOf<I extends Keyed>(space: KeySpace<I>, inputs: readonly I[]): [methods: string[], requestIds: string[]] {
  return [inputs.map((input) => keyMethod(space, input)), inputs.map(({ requestId }) => requestId)];
}

function isTicket(result: Ticket | Resting | Error): result is Ticket {
  return "operation" in result;
}

/** The operation that a request id began before, or the request that is not one yet. */
function decodeClaim(response: Buffer): Begun {
  return { operationId: response.toString() };
}
