import { proxyActivities, proxyLocalActivities, type RetryPolicy } from "@temporalio/workflow";
import { parseTraceParent } from "#platform/trace-parent.ts";
import { Coalescer, type Ways } from "./coalesce.ts";
import { LocalCalls } from "./local-calls.ts";
import type { EpisodeOptions } from "./options.ts";
import type { BatchCall, Outcome, StepBatch } from "./step-batch.ts";

/** How the activity of a step is called: as a local activity in the first workflow task, else as an ordinary one. */
export interface StepCall {
  /** Whom it asks: what an order waits for when nobody answers. */
  readonly callee: string;
  /** Who decides, when that is somebody behind the callee: what an order waits for when the answer is "pending". */
  readonly decider?: string;
  /** How often a batch of the step is tried; absent: as often as the options say. */
  readonly attempts?: number;
  /** Whether it is tried for minutes: without it nothing that the episode did is remembered. */
  readonly patient?: boolean;
  /** Whether its entries may be large: then a batch ends with what one call can carry. */
  readonly bulky?: boolean;
}

/** What goes into and comes out of one entry of each step, by the name of its activity. */
type StepTypes<T> = { [N in keyof T]: { input: { orderId: string }; output: unknown } };
type InputOf<T extends StepTypes<T>, N extends keyof T> = T[N]["input"];
type OutputOf<T extends StepTypes<T>, N extends keyof T> = T[N]["output"];

type Proxy = Record<string, (batch: StepBatch<unknown>) => Promise<Outcome<unknown>[]>>;

/** How often a part of a failed batch is tried: twice, so that one lost call does not single out a healthy entry. */
const partAttempts = 2;
/** How much longer than others a patient step pauses at most. */
const patientPauses = 10;

/** Makes the coalescing calls of one workflow. */
export class BatchCalls<T extends StepTypes<T>> {
  readonly #steps: { readonly [N in keyof T]: StepCall };
  readonly #options: EpisodeOptions;
  readonly #traceparents: Map<string, string>;
  readonly #local: LocalCalls;

  /** @param orders whose calls they are, with their W3C trace contexts */
  constructor(
    steps: { readonly [N in keyof T]: StepCall },
    options: EpisodeOptions,
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
    return new Coalescer(this.#ways(name, this.#steps[name]));
  }

  #ways<N extends keyof T & string>(name: N, step: StepCall): Ways<InputOf<T, N>, OutputOf<T, N>> {
    const { callee, decider = callee, attempts = this.#options.attempts, patient = false, bulky = false } = step;
    const { stepTimeoutMs: startToCloseTimeout, firstRetryMs, settlePatienceMs } = this.#options;
    const remote = (retry: RetryPolicy, attemptsBefore = 0) =>
      this.#call(proxyActivities<Proxy>({ startToCloseTimeout, retry }), name, attemptsBefore);
    const alone = proxyLocalActivities<Proxy>({ startToCloseTimeout, retry: { maximumAttempts: 1 } });
    const part = remote(this.#retry(partAttempts));
    if (patient) {
      const retry = this.#retry(Number.POSITIVE_INFINITY, firstRetryMs, patientPauses);
      const options = { startToCloseTimeout, scheduleToCloseTimeout: settlePatienceMs, retry };
      const all = (before: number) => this.#call(proxyActivities<Proxy>(options), name, before);
      return { batch: this.#local.orRemote(this.#call(alone, name), all(1), all(0)), part, callee, decider, bulky };
    }
    // One attempt and one pause come before: the policy goes on where it would be by then.
    const rest = remote(this.#retry(Math.max(1, attempts - 1), firstRetryMs * 2), 1);
    const batch = this.#local.orRemote(this.#call(alone, name), rest, remote(this.#retry(attempts)));
    return { batch, part, callee, decider, bulky };
  }

  #retry(maximumAttempts: number, initialInterval = this.#options.firstRetryMs, longer = 1): RetryPolicy {
    const maximumInterval = Math.max(this.#options.maxRetryMs * longer, initialInterval);
    return { initialInterval, backoffCoefficient: 2, maximumInterval, maximumAttempts };
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
