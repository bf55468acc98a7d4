import { proxyActivities, proxyLocalActivities, type RetryPolicy } from "@temporalio/workflow";
import { parseTraceParent } from "#platform/trace-parent.ts";
import { LocalCalls } from "../../engine/local-calls.ts";
import type { BatchCall, Outcome, StepBatch } from "../../engine/step-batch.ts";
import { Coalescer, type PendingPolicy, type Ways } from "./coalesce.ts";
import type { SagaOptions } from "./options.ts";

/**
 * How a step is called.
 *
 * - `checkout`: as a local activity in the first workflow task; what keeps failing is not tried for long.
 * - `pivot`: the same, but with patience, because the saga only goes forward from there.
 * - `short`: as an ordinary activity, with patience: what follows the pivot, and compensations.
 * - `long`: as an ordinary activity with heartbeats, with patience: what the outside world takes its time for.
 */
export type StepKind = "checkout" | "pivot" | "short" | "long";

/** How the activity of a step is called. */
export interface StepCall {
  readonly kind: StepKind;
  /**
   * How often a batch of the step is tried before it is halved; absent: as often as the options say. At least twice where the
   * first attempt is a local activity.
   */
  readonly attempts?: number;
}

/** What goes into and comes out of one entry of each step, by the name of its activity. */
type StepTypes<T> = { [N in keyof T]: { input: { orderId: string }; output: unknown } };
type InputOf<T extends StepTypes<T>, N extends keyof T> = T[N]["input"];
type OutputOf<T extends StepTypes<T>, N extends keyof T> = T[N]["output"];

type Proxy = Record<string, (batch: StepBatch<unknown>) => Promise<Outcome<unknown>[]>>;

/** How often a part of a failed batch is tried: twice, so that one lost call does not single out a healthy entry. */
const partAttempts = 2;
/** What a long step may take beyond its own bound, to answer. */
const longStepGraceMs = 30_000;
/** Packing takes hours where a gateway takes seconds: the pauses between two looks are that much longer. */
const longPauses = 5;
/** The longest that something outside may stay undecided before an operator looks at it: a week. */
const longPendingMs = 7 * 86_400_000;

/** Makes the coalescing calls of one workflow. */
export class BatchCalls<T extends StepTypes<T>> {
  readonly #steps: { readonly [N in keyof T]: StepCall };
  readonly #options: SagaOptions;
  readonly #traceparents: Map<string, string>;
  readonly #local: LocalCalls;

  /** @param orders whose calls they are, with their W3C trace contexts */
  constructor(
    steps: { readonly [N in keyof T]: StepCall },
    options: SagaOptions,
    orders: { orderId: string; traceparent: string }[],
  ) {
    this.#steps = steps;
    this.#options = options;
    const kept = orders.filter(({ traceparent }) => parseTraceParent(traceparent)?.sampled);
    this.#traceparents = new Map(kept.map(({ orderId, traceparent }) => [orderId, traceparent]));
    this.#local = new LocalCalls(options);
  }

  /** The coalescing call of one activity. */
  of<N extends keyof T & string>(name: N): Coalescer<InputOf<T, N>, OutputOf<T, N>> {
    const step = this.#steps[name];
    return new Coalescer(this.#ways(name, step), this.#pending(step.kind));
  }

  #pending(kind: StepKind): PendingPolicy {
    const { pendingFirstMs: firstMs, pendingMaxMs: maxMs, checkoutPatienceMs, patienceMs } = this.#options;
    if (kind === "long") {
      return { firstMs: firstMs * longPauses, maxMs: maxMs * longPauses, budgetMs: longPendingMs };
    }
    return { firstMs, maxMs, budgetMs: kind === "checkout" ? checkoutPatienceMs : patienceMs };
  }

  #ways<N extends keyof T & string>(name: N, { kind, attempts }: StepCall): Ways<InputOf<T, N>, OutputOf<T, N>> {
    const { firstRetryMs, patienceMs } = this.#options;
    const tries = attempts ?? this.#options.attempts;
    const timing = this.#timing(kind);
    const remote = (retry: RetryPolicy, attemptsBefore = 0) =>
      this.#call(proxyActivities<Proxy>({ ...timing, retry }), name, attemptsBefore);
    const all = remote(this.#retry(tries));
    const inFirstTask = kind === "checkout" || kind === "pivot";
    // One attempt and one pause come before: the policy goes on where it would be by then.
    const rest = () => remote(this.#retry(Math.max(1, tries - 1), firstRetryMs * 2), 1);
    const batch = inFirstTask ? this.#local.orRemote(this.#localCall(name), rest(), all) : all;
    const part = remote(this.#retry(partAttempts));
    if (kind === "checkout") return { batch, part };
    const retry = this.#retry(Number.POSITIVE_INFINITY);
    const alone = proxyActivities<Proxy>({ ...timing, scheduleToCloseTimeout: patienceMs, retry });
    return { batch, part, alone: this.#call(alone, name) };
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

  #localCall<N extends keyof T & string>(name: N): BatchCall<InputOf<T, N>, OutputOf<T, N>> {
    const startToCloseTimeout = this.#options.stepTimeoutMs;
    return this.#call(proxyLocalActivities<Proxy>({ startToCloseTimeout, retry: { maximumAttempts: 1 } }), name);
  }

  #call<N extends keyof T & string>(
    proxy: Proxy,
    name: N,
    attemptsBefore = 0,
  ): BatchCall<InputOf<T, N>, OutputOf<T, N>> {
    const before = attemptsBefore > 0 ? { attemptsBefore } : {};
    return (entries) => {
      const activity = proxy[name];
      if (!activity) throw new TypeError(`there is no activity ${name}`);
      const batch = { entries, ...this.#tracesOf(entries), ...before };
      return activity(batch) as Promise<Outcome<OutputOf<T, N>>[]>;
    };
  }

  /** Nothing when no order is traced: an untraced saga has not one byte more in its history. */
  #tracesOf(entries: { orderId: string }[]): { traceparents?: string[] } {
    if (!entries.some(({ orderId }) => this.#traceparents.has(orderId))) return {};
    return { traceparents: entries.map(({ orderId }) => this.#traceparents.get(orderId) ?? "") };
  }
}
