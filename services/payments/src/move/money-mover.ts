import { Batcher } from "#platform/batch/batcher.ts";
import { detached, remainingMs, withSubject } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import { resumeTrace } from "#platform/trace/spans.ts";
import type { ApprovalRepository } from "../approval/approval.repository.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { GatewayCaller, type GatewayLimits } from "../gateway/gateway-caller.ts";
import type { OperationRepository } from "../operation/operation.repository.ts";
import { type Change, type Outcome, outcomeOf, restingOutcome, type Ticket } from "../operation/operation.ts";
import type { Decided } from "../operation/operation-recording.ts";
import {
  type AuthorizeInput,
  type Begun,
  type ChangeInput,
  type Submitted,
  submitted,
} from "../operation/operation-request.ts";
import type { PaymentError } from "../payment/errors.ts";
import { isResting, type Resting } from "../refund/refund-request.ts";
import { AwaitedDecisions } from "./awaited-decisions.ts";
import type { PaymentMetrics } from "./metrics.ts";

/** What {@link MoneyMover} works with. */
export interface MoneyMoverOptions {
  readonly operations: OperationRepository;
  /** Where it is known what waits for a second person. */
  readonly approvals: Pick<ApprovalRepository, "find">;
  readonly gateway: Gateway;
  readonly log: Pick<Logger, "warn" | "error">;
  readonly limits: GatewayLimits;
  /** How long a caller waits for the gateway before it is told "pending", in milliseconds. */
  readonly answerWithinMs: number;
  /** Told about every operation that was decided, and every call to the gateway. */
  readonly metrics: Pick<PaymentMetrics, "decided" | "gatewayCalled" | "refundRequested">;
}

/** How many operations one sweep takes. */
const sweepSize = 256;
/**
 * Pauses of the resolver double from the first to the longest, in milliseconds. Orders rest for up to 37 s between two tries: one that comes
 * just before the resolver, once the gateway is back, finds it decided the next time, and that has to be within the minute.
 */
const firstPauseMs = 500;
const longestPauseMs = 5_000;
/** A caller looks for a decision that another process may make, after pauses that double, in milliseconds. */
const firstLookMs = 10;
const longestLookMs = 250;
/** Of the caller's time, what is kept for carrying the answer back. */
const marginMs = 250;

/**
 * Moves money. Each call is committed, then sent, then recorded; many callers share each of these steps. Whatever is cut
 * off between two of them is carried on by {@link MoneyMover.resolve}, here or in another process.
 */
export class MoneyMover {
  readonly #options: MoneyMoverOptions;
  readonly #caller: GatewayCaller;
  readonly #decisions = new AwaitedDecisions();
  readonly #carried = new Set<Promise<void>>();
  readonly #authorizations: Batcher<Submitted<AuthorizeInput>, Begun>;
  readonly #changes: Readonly<Record<Change["kind"], Batcher<Submitted<ChangeInput>, Begun>>>;
  readonly #records: Batcher<Decided, Ticket>;
  readonly #lookups: Batcher<string, Ticket | Resting>;
  readonly #postponements: Batcher<{ operationId: string; pauseMs: number }, undefined>;

  constructor(options: MoneyMoverOptions) {
    const { operations, gateway, limits, log, metrics } = options;
    this.#options = options;
    this.#caller = new GatewayCaller({ gateway, limits, log, onCall: metrics.gatewayCalled });
    this.#authorizations = new Batcher({
      name: "authorizations",
      keyOf: (input) => input.paymentId,
      run: (inputs) => operations.beginAuthorizations(inputs),
    });
    const changes = (kind: Change["kind"]) => {
      const run = (inputs: Submitted<ChangeInput>[]) => operations.beginChanges(kind, inputs);
      return new Batcher<Submitted<ChangeInput>, Begun>({ name: `${kind}s`, run });
    };
    this.#changes = { capture: changes("capture"), void: changes("void"), refund: changes("refund") };
    this.#records = new Batcher({ name: "decisions", run: (inputs) => this.#record(inputs) });
    this.#lookups = new Batcher({ name: "operations", run: (ids) => this.#find(ids) });
    this.#postponements = new Batcher({ name: "postponements", run: (entries) => this.#postpone(entries) });
  }

  /**
   * Asks the gateway to hold an amount.
   *
   * @param signal fires when nobody waits any more: what was not begun by then is not begun
   * @param enough fires when the operation is to be answered as it stands
   * @throws the refusals of AuthorizePayment
   */
  async authorize(input: AuthorizeInput, signal?: AbortSignal, enough = signal): Promise<Outcome> {
    const begun = await this.#authorizations.submit(submitted(input), signal ? { signal } : {});
    return await this.#answer(begun, enough);
  }

  /** Captures, voids or refunds, in the same way. @throws the refusals of CapturePayment, VoidPayment and RefundPayment */
  async change(input: ChangeInput, signal?: AbortSignal, enough = signal): Promise<Outcome> {
    const begun = await this.#changes[input.kind].submit(submitted(input), signal ? { signal } : {});
    return await this.#answer(begun, enough);
  }

  /** Sends what was begun elsewhere, if nobody has yet, and waits for it in the same way. @throws the refusals of the gateway */
  async follow(begun: Begun, signal?: AbortSignal): Promise<Outcome> {
    return await this.#answer(begun, signal);
  }

  /** Carries on what a crash or a lost answer left undecided; returns how many operations that were. For a `Relay`. */
  async resolve(): Promise<number> {
    const due = await this.#options.operations.claimDue(sweepSize);
    await Promise.all(due.map((ticket) => this.#resume(ticket, true)));
    return due.length;
  }

  /** Ends once everything that was begun is recorded or, after `graceMs`, left to the resolver. */
  async drain(graceMs: number): Promise<void> {
    const begun = [this.#authorizations, ...Object.values(this.#changes)];
    await Promise.all(begun.map((batcher) => batcher.drain()));
    const timer = setTimeout(() => this.#caller.stop(), graceMs);
    // What is recorded may let further operations go.
    while (this.#carried.size > 0) await Promise.all(this.#carried);
    clearTimeout(timer);
    await Promise.all([this.#records.drain(), this.#postponements.drain(), this.#lookups.drain()]);
  }

  async #answer(begun: Begun, enough: AbortSignal | undefined): Promise<Outcome> {
    const { operationId } = begun;
    if (begun.resting) this.#options.metrics.refundRequested();
    const found = begun.resting ?? begun.ticket ?? (await this.#lookups.submit(operationId));
    return told(isResting(found) ? restingOutcome(found) : await this.#await(found, begun, enough));
  }

  async #await(found: Ticket, begun: Begun, enough: AbortSignal | undefined): Promise<Outcome | PaymentError> {
    const { operationId } = begun;
    let ticket = found;
    const patience = this.#patience();
    const deadline = performance.now() + patience;
    if (begun.ticket?.operation.state === "pending") {
      const decision = this.#decisions.wait(operationId, patience, enough);
      void this.#start(begun.ticket, false);
      ticket = (await decision) ?? ticket;
    }
    // Another process may decide it: a repeated request, or one that waits behind another.
    for (let pause = firstLookMs; !ticket.operation.after; pause = Math.min(2 * pause, longestLookMs)) {
      const left = deadline - performance.now();
      ticket = (await this.#decisions.wait(operationId, Math.min(left, pause), enough)) ?? ticket;
      if (!ticket.operation.after) ticket = await this.#lookUp(operationId);
      if (left <= pause || enough?.aborted) break;
    }
    return outcomeOf(ticket.payment, ticket.operation);
  }

  /** An operation that there is. */
  async #lookUp(operationId: string): Promise<Ticket> {
    const found = await this.#lookups.submit(operationId);
    if (isResting(found)) throw new Error(`operation ${operationId} is a request again`);
    return found;
  }

  #patience(): number {
    const left = remainingMs();
    return Math.min(this.#options.answerWithinMs, left - Math.min(marginMs, left / 4));
  }

  /** Carries an operation on without regard to who waits for it. Never rejects. */
  #start(ticket: Ticket, ask: boolean): Promise<void> {
    const carried = detached(() => this.#carry(ticket, ask)).catch((error: unknown) => {
      const { operationId, kind } = ticket.operation;
      this.#options.log.error("an operation is left to the resolver", {
        err: error,
        "operation.id": operationId,
        kind,
      });
    });
    this.#carried.add(carried);
    return carried.finally(() => this.#carried.delete(carried));
  }

  /** Carries an operation on that its own call does not: in the trace of whoever wanted it. Never rejects. */
  #resume(ticket: Ticket, ask: boolean): Promise<void> {
    const { operation, payment } = ticket;
    const { orderId, paymentId } = payment;
    const attributes = { "payment.id": paymentId, ...(orderId ? { "order.id": orderId } : {}) };
    const begun = { traceparent: operation.source.traceparent, time: operation.createTime };
    const resumed = { name: `resume ${operation.kind}`, attributes };
    return withSubject({ "order.id": orderId }, () => resumeTrace(begun, resumed, () => this.#start(ticket, ask)));
  }

  async #carry(ticket: Ticket, ask: boolean): Promise<void> {
    const { operation } = ticket;
    const verdict = await this.#caller.decide(ticket, ask);
    if (verdict) {
      await this.#records.submit({ operation, verdict });
      return;
    }
    const { operationId, attempts } = operation;
    const pauseMs = Math.min(firstPauseMs * 2 ** Math.min(attempts, 16), longestPauseMs);
    await this.#postponements.submit({ operationId, pauseMs });
  }

  async #record(inputs: Decided[]): Promise<Ticket[]> {
    const { recorded, consequences, changed } = await this.#options.operations.record(inputs);
    for (const ticket of [...recorded, ...consequences]) {
      if (ticket.operation.state === "pending") void this.#resume(ticket, false);
      else if (changed.has(ticket.operation.operationId)) this.#options.metrics.decided(ticket);
      this.#decisions.announce(ticket);
    }
    return recorded;
  }

  /** Operations, and what is none as long as no second person has approved it. */
  async #find(operationIds: string[]): Promise<(Ticket | Resting | Error)[]> {
    const { operations, approvals } = this.#options;
    const found = new Map<string, Ticket | Resting>();
    for (const ticket of await operations.find(operationIds)) found.set(ticket.operation.operationId, ticket);
    const others = operationIds.filter((id) => !found.has(id));
    const resting = others.length > 0 ? await approvals.find(others) : [];
    for (const each of resting) found.set(each.request.refundRequestId, each);
    return operationIds.map((id) => found.get(id) ?? new Error(`operation ${id} is missing`));
  }

  async #postpone(entries: { operationId: string; pauseMs: number }[]): Promise<undefined[]> {
    await this.#options.operations.postpone(entries);
    return entries.map(() => undefined);
  }
}

function told(outcome: Outcome | PaymentError): Outcome {
  if (outcome instanceof Error) throw outcome;
  return outcome;
}
