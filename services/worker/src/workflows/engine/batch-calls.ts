import { proxyActivities, proxyLocalActivities, type RetryPolicy } from "@temporalio/workflow";
import { isKept, type Outcome, type SagaOptions, type SagaOrder } from "../order-state.ts";
import type { InputOf, OutputOf, StepList, StepName } from "../step-table.ts";
import { Coalescer, type ListCall, type PendingPolicy, type Ways } from "./coalesce.ts";
import { LocalCalls } from "./local-calls.ts";

/**
 * How a step is called.
 *
 * - `checkout`: as a local activity in the first workflow task; what keeps failing is not tried for long.
 * - `pivot`: the same, but with patience, because the saga only goes forward from there.
 * - `short`: as an ordinary activity, with patience: what follows the pivot, and compensations.
 * - `long`: as an ordinary activity with heartbeats, with patience: what the outside world takes its time for.
 */
export type StepKind = "checkout" | "pivot" | "short" | "long";

type Proxy = Record<string, (list: StepList<unknown>) => Promise<Outcome<unknown>[]>>;

/** How often a part of a failed list is tried: twice, so that one lost call does not single out a healthy entry. */
const partAttempts = 2;
/** What a long step may take beyond its own bound, to answer. */
const longStepGraceMs = 30_000;
/** Packing takes hours where a gateway takes seconds: the pauses between two looks are that much longer. */
const longPauses = 5;
/** The longest that something outside may stay undecided before an operator looks at it: a week. */
const longPendingMs = 7 * 86_400_000;

/** Makes the coalescing calls of one workflow. */
export class ListCalls {
  readonly #options: SagaOptions;
  readonly #traceparents: Map<string, string>;
  readonly #local: LocalCalls;

  constructor(options: SagaOptions, orders: SagaOrder[]) {
    this.#options = options;
    const kept = orders.filter(({ traceparent }) => isKept(traceparent));
    this.#traceparents = new Map(kept.map(({ orderId, traceparent }) => [orderId, traceparent]));
    this.#local = new LocalCalls(options);
  }

  /** The coalescing call of one activity. */
  of<N extends StepName>(name: N, kind: StepKind): Coalescer<InputOf<N>, OutputOf<N>> {
    return new Coalescer(this.#ways(name, kind), this.#pending(kind));
  }

  #pending(kind: StepKind): PendingPolicy {
    const { pendingFirstMs: firstMs, pendingMaxMs: maxMs, checkoutPatienceMs, patienceMs } = this.#options;
    if (kind === "long") {
      return { firstMs: firstMs * longPauses, maxMs: maxMs * longPauses, budgetMs: longPendingMs };
    }
    return { firstMs, maxMs, budgetMs: kind === "checkout" ? checkoutPatienceMs : patienceMs };
  }

  #ways<N extends StepName>(name: N, kind: StepKind): Ways<InputOf<N>, OutputOf<N>> {
    const { attempts, firstRetryMs, patienceMs } = this.#options;
    const timing = this.#timing(kind);
    const remote = (retry: RetryPolicy, attemptsBefore = 0) =>
      this.#call(proxyActivities<Proxy>({ ...timing, retry }), name, attemptsBefore);
    const all = remote(this.#retry(attempts));
    const inFirstTask = kind === "checkout" || kind === "pivot";
    // One attempt and one pause come before: the policy goes on where it would be by then.
    const rest = () => remote(this.#retry(Math.max(1, attempts - 1), firstRetryMs * 2), 1);
    const list = inFirstTask ? this.#local.orRemote(this.#localCall(name), rest(), all) : all;
    const part = remote(this.#retry(partAttempts));
    if (kind === "checkout") return { list, part };
    const retry = this.#retry(Number.POSITIVE_INFINITY);
    const alone = proxyActivities<Proxy>({ ...timing, scheduleToCloseTimeout: patienceMs, retry });
    return { list, part, alone: this.#call(alone, name) };
  }

  #timing(kind: StepKind) {
    const { stepTimeoutMs, longStepMs, heartbeatMs } = this.#options;
    if (kind !== "long") return { startToCloseTimeout: stepTimeoutMs };
    return { startToCloseTimeout: longStepMs + longStepGraceMs, heartbeatTimeout: heartbeatMs };
  }

  #retry(maximumAttempts: number, initialInterval = this.#options.firstRetryMs): RetryPolicy {
    const maximumInterval = Math.max(this.#options.maxRetryMs, initialInterval);
    return { initialInterval, backoffCoefficient: 2, maximumInterval, maximumAttempts };
  }

  #localCall<N extends StepName>(name: N): ListCall<InputOf<N>, OutputOf<N>> {
    const startToCloseTimeout = this.#options.stepTimeoutMs;
    return this.#call(proxyLocalActivities<Proxy>({ startToCloseTimeout, retry: { maximumAttempts: 1 } }), name);
  }

  #call<N extends StepName>(proxy: Proxy, name: N, attemptsBefore = 0): ListCall<InputOf<N>, OutputOf<N>> {
    const before = attemptsBefore > 0 ? { attemptsBefore } : {};
    return (entries) => {
      const activity = proxy[name];
      if (!activity) throw new TypeError(`there is no activity ${name}`);
      const list = { entries, ...this.#tracesOf(entries), ...before };
      return activity(list) as Promise<Outcome<OutputOf<N>>[]>;
    };
  }

  /** Nothing when no order is traced: an untraced saga has not one byte more in its history. */
  #tracesOf(entries: { orderId: string }[]): { traceparents?: string[] } {
    if (!entries.some(({ orderId }) => this.#traceparents.has(orderId))) return {};
    return { traceparents: entries.map(({ orderId }) => this.#traceparents.get(orderId) ?? "") };
  }
}
