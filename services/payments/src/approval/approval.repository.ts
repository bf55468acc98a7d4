import { type AuditOrigin, auditEvents, auditOrigin } from "#platform/audit/audit-entry.ts";
import type { Database } from "#platform/database/database.ts";
import {
  idempotencyColumns,
  type Keyed,
  type KeySpace,
  keyMethod,
  replayable,
} from "#platform/database/idempotency.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { DomainError } from "#platform/errors.ts";
import { decodeId } from "#platform/id.ts";
import { accept, type Ticket } from "../operation/operation.ts";
import { approvedRefund } from "../operation/operation-request.ts";
import { toInsertedChange } from "../operation/operation-row.ts";
import * as operations from "../operation/operation-statements.ts";
import { refundRequestNotFound } from "../payment/errors.ts";
import type { Payment } from "../payment/payment.ts";
import { toPayment, toUpdatedPayment } from "../payment/payment-row.ts";
import { refundEntry } from "../refund/refund-audit.ts";
import { type Decision, decide, type RefundRequest, type Resting } from "../refund/refund-request.ts";
import { type RefundRequestRow, toRefundRequest } from "../refund/refund-request-row.ts";
import * as statements from "../refund/refund-request-statements.ts";

/** What somebody decides about a refund request. */
export interface DecisionInput extends Keyed, Omit<Decision, "time"> {
  readonly refundRequestId: string;
  readonly origin: AuditOrigin;
}

/** A request that is decided. */
export interface Decided extends Resting {
  /** Whether it was decided by this call, and not by an earlier one of the same request id. */
  readonly isNew: boolean;
  /** What is to be sent to the gateway; undefined where nothing is, or was before. */
  readonly ticket?: Ticket | undefined;
}

const methods = { approved: "ApproveRefund", rejected: "RejectRefund" } as const;

/** The request ids of decisions belong to what is decided about. */
const decisionKeys: KeySpace<DecisionInput> = {
  method: ({ verdict }) => methods[verdict],
  scope: ({ refundRequestId }) => refundRequestId,
};

/** Decides about refunds that need a second person. Whatever else happens to their payments waits meanwhile. */
export class ApprovalRepository {
  readonly #database: Pick<Database, "query" | "transaction">;
  readonly #leaseMs: number;

  /** @param leaseMs how long the process that approves may take until others care for the refund */
  constructor(database: Pick<Database, "query" | "transaction">, leaseMs: number) {
    this.#database = database;
    this.#leaseMs = leaseMs;
  }

  /** Commits a decision; an approved refund is set aside before the gateway hears of it. @throws the refusals of ApproveRefund and RejectRefund */
  async decide(input: DecisionInput): Promise<Decided> {
    const decideAll = replayable<DecisionInput, Decided | undefined>({
      database: this.#database,
      ...decisionKeys,
      run: (inputs) => Promise.all(inputs.map((each) => this.#decideOrRefuse(each))),
      decode: () => undefined,
    });
    const [decided] = await decideAll([input]);
    if (decided instanceof Error) throw decided;
    return decided ?? { ...(await this.get(input.refundRequestId)), isNew: false };
  }

  /** One request with its payment. @throws REFUND_REQUEST_NOT_FOUND */
  async get(refundRequestId: string): Promise<Resting> {
    const [found] = await this.find([refundRequestId]);
    if (!found) throw refundRequestNotFound(refundRequestId);
    return found;
  }

  /** Requests by id, in no order; those that do not exist are missing. */
  async find(refundRequestIds: readonly string[]): Promise<Resting[]> {
    const ids = refundRequestIds.map(decodeId);
    const rows = await this.#database.query<statements.RestingRow>(statements.findRefundRequests, [ids]);
    return rows.map(toResting);
  }

  /** At most `limit` requests, the newest first. */
  async list(filter: statements.RefundRequestFilter, limit: number): Promise<RefundRequest[]> {
    const rows = await this.#database.query<RefundRequestRow>(...statements.listRefundRequests(filter, limit));
    return rows.map(toRefundRequest);
  }

  /** Has requests expire whose time is over, at most `limit`; returns them. */
  expire(limit: number): Promise<Resting[]> {
    return this.#database.transaction(async (tx) => {
      const rows = await tx.query<statements.RestingRow>(statements.lockExpiredRequests, [limit]);
      if (rows.length === 0) return [];
      const expired = rows.map((row): Resting => {
        const { request, payment } = toResting(row);
        return { payment, request: { ...request, state: "expired", decideTime: row.now } };
      });
      const origin = auditOrigin("", "service:payments");
      const events = auditEvents(expired.map((each) => refundEntry(each, origin)));
      await tx.commitWith(statements.expireRequests, [rows.map(({ refundRequestId }) => refundRequestId), events]);
      return expired;
    });
  }

  /** How many wait, and for how many seconds the oldest has; 0 when there is none. */
  async waiting(): Promise<{ waiting: number; ageSeconds: number }> {
    const [row] = await this.#database.query<{ waiting: bigint; age: number | null }>(statements.waitingRequests);
    return { waiting: Number(row?.waiting ?? 0n), ageSeconds: row?.age ?? 0 };
  }

  /** A refusal takes the claim of its request id back with the transaction: it may be asked again. */
  async #decideOrRefuse(input: DecisionInput): Promise<Decided | Error> {
    try {
      return await this.#database.transaction((tx) => this.#decide(tx, input));
    } catch (error) {
      if (error instanceof DomainError) return error;
      throw error;
    }
  }

  async #decide(tx: Transaction, input: DecisionInput): Promise<Decided> {
    const { refundRequestId, requestId, fingerprint, origin, verdict } = input;
    const id = decodeId(refundRequestId);
    const claim = {
      method: keyMethod(decisionKeys, input),
      requestId,
      fingerprint,
      response: Buffer.from(refundRequestId),
    };
    const [, , [row]] = await Promise.all([
      tx.query(operations.claimRequests, idempotencyColumns([claim])),
      tx.query(statements.lockPaymentOfRequest, [id]),
      tx.query<statements.RestingRow>(statements.lockRefundRequest, [id]),
    ]);
    if (!row) throw refundRequestNotFound(refundRequestId);
    const { now: time } = row;
    const { request: before, payment } = toResting(row);
    const request = decide(before, { ...input, time });
    if (request instanceof Error) throw request;
    const ticket = verdict === "approved" ? await this.#begin(tx, payment, before, time) : undefined;
    await tx.commitWith(statements.decideRefundRequest, [
      id,
      request.state,
      request.decider,
      request.decisionReason,
      request.decideTime,
      auditEvents([refundEntry({ request, payment }, origin)]),
    ]);
    return { request, payment: ticket?.payment ?? payment, isNew: true, ticket };
  }

  /** Sets the amount aside and writes the operation, by which whoever comes after a crash sends it. */
  async #begin(tx: Transaction, before: Payment, request: Resting["request"], time: Date): Promise<Ticket> {
    const { currency, amount, paymentId, reason } = request;
    const accepted = accept(before, { kind: "refund", amount: { currency, amount } }, false);
    if (accepted instanceof Error) throw accepted;
    const operation = approvedRefund(request, time);
    const id = decodeId(paymentId);
    await tx.query(operations.beginChanges, [
      JSON.stringify([toUpdatedPayment(accepted.payment)]),
      JSON.stringify([toInsertedChange(operation, reason)]),
      this.#leaseMs,
      [],
      [],
      [id],
    ]);
    return { operation, payment: accepted.payment };
  }
}

function toResting(row: statements.RestingRow): Resting {
  return { request: toRefundRequest(row), payment: toPayment(row) };
}
