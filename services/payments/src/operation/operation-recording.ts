import type { AuditEntry } from "#platform/audit/audit-entry.ts";
import type { EntryDraft, Payment } from "../payment/payment.ts";
import { type Operation, type Promoting, promote, revoke, settle, type Verdict } from "./operation.ts";
import { decisionEntry } from "./operation-audit.ts";

/** What the gateway said to an operation. */
export interface Decided {
  readonly operation: Operation;
  readonly verdict: Verdict;
}

/** A ledger entry and what it is of. */
export interface RecordedEntry extends EntryDraft {
  readonly paymentId: string;
  readonly operationId: string;
  readonly currency: string;
}

/** What one transaction has to write. */
export interface Changes {
  readonly payments: Payment[];
  readonly operations: Operation[];
  readonly entries: RecordedEntry[];
  /** One for each verdict. */
  readonly events: AuditEntry[];
}

/** Works out, for payments that are locked, what a batch of verdicts changes; several may be of the same payment. */
export class Recording {
  readonly #payments: Map<string, Payment>;
  readonly #operations: Map<string, Operation>;
  readonly #promoting: Promoting;
  readonly #changed = new Map<string, Operation>();
  readonly #touched = new Set<string>();
  readonly #entries: RecordedEntry[] = [];
  readonly #events: AuditEntry[] = [];

  /** @param operations those that are decided, and all that wait, the oldest first */
  constructor(payments: readonly Payment[], operations: readonly Operation[], promoting: Promoting) {
    this.#payments = new Map(payments.map((payment) => [payment.paymentId, payment]));
    this.#operations = new Map(operations.map((operation) => [operation.operationId, operation]));
    this.#promoting = promoting;
  }

  /** The payment as it is now. @throws when it was not locked: a fault in the code */
  payment(paymentId: string): Payment {
    const payment = this.#payments.get(paymentId);
    if (!payment) throw new Error(`payment ${paymentId} is missing in the recording`);
    return payment;
  }

  /** Applies one verdict, unless another one was recorded before. */
  settle(decided: Decided): Operation {
    const { operationId, paymentId } = decided.operation;
    const current = this.#operations.get(operationId);
    if (!current) throw new Error(`operation ${operationId} is missing in the recording`);
    if (current.state !== "pending") return current;
    const at = { verdict: decided.verdict, time: this.#promoting.time };
    const { payment, operation, entries } = settle(this.payment(paymentId), current, at);
    this.#change(payment, operation);
    this.#events.push(decisionEntry(payment, operation));
    const { currency } = payment;
    this.#entries.push(...entries.map((entry) => ({ ...entry, paymentId, operationId, currency })));
    return operation;
  }

  /** Takes back a refund that has failed since; undefined where there is none to take back. */
  revoke(operationId: string, code: string): Operation | undefined {
    const current = this.#operations.get(operationId);
    const settled = current && revoke(this.payment(current.paymentId), current, { code, time: this.#promoting.time });
    if (!settled) return undefined;
    const { payment, operation, entries } = settled;
    this.#change(payment, operation);
    const { paymentId, currency } = payment;
    this.#entries.push(...entries.map((entry) => ({ ...entry, paymentId, operationId, currency })));
    return operation;
  }

  /** The payment's hold is no more, whatever was said before. */
  endHold(paymentId: string): void {
    const payment = this.payment(paymentId);
    const { time } = this.#promoting;
    this.#payments.set(paymentId, { ...payment, holdExpireTime: time, updateTime: time });
    this.#touched.add(paymentId);
  }

  /** Writes an event into the audit log with the rest. */
  note(event: AuditEntry): void {
    this.#events.push(event);
  }

  /** Lets go what waited on the payments that {@link settle} touched; returns the operations that changed. */
  promote(): Operation[] {
    const waiting = Map.groupBy(
      [...this.#operations.values()].filter((operation) => operation.state === "waiting"),
      (operation) => operation.paymentId,
    );
    const promoted: Operation[] = [];
    for (const [paymentId, operations] of waiting) {
      if (!this.#touched.has(paymentId)) continue;
      const result = promote(this.payment(paymentId), operations, this.#promoting);
      this.#payments.set(paymentId, result.payment);
      for (const operation of result.operations) this.#change(result.payment, operation);
      promoted.push(...result.operations);
    }
    return promoted;
  }

  /** What is to be written. */
  changes(): Changes {
    const payments = [...this.#touched].map((paymentId) => this.payment(paymentId));
    return { payments, operations: [...this.#changed.values()], entries: this.#entries, events: this.#events };
  }

  #change(payment: Payment, operation: Operation): void {
    this.#payments.set(payment.paymentId, payment);
    this.#operations.set(operation.operationId, operation);
    this.#changed.set(operation.operationId, operation);
    this.#touched.add(payment.paymentId);
  }
}
