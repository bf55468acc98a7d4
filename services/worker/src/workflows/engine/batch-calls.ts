import { proxyActivities, proxyLocalActivities, type RetryPolicy } from "@temporalio/workflow";
import { parseTraceParent } from "#platform/trace-parent.ts";
import { Coalescer, type Ways } from "./coalesce.ts";
import { LocalCalls } from "./local-calls.ts";
import type { EpisodeOptions } from "./options.ts";
import { retriesOf, type StepTries } from "./retries.ts";
import type { BatchCall, Outcome, StepBatch } from "./step-batch.ts";

/** How the activity of a step is called: as a local activity in the first workflow task, else as an ordinary one. */
export interface StepCall extends StepTries {
  /** Whom it asks: what an order waits for when nobody answers. */
  readonly callee: string;
  /** Who decides, when that is somebody behind the callee: what an order waits for when the answer is "pending". */
  readonly decider?: string;
  /** Whether its entries may be large: then a batch ends with what one call can carry. */
  readonly bulky?: boolean;
}

/** What goes into and comes out of one entry of each step, by the name of its activity. */
type StepTypes<T> = { [N in keyof T]: { input: { orderId: string }; output: unknown } };
type InputOf<T extends StepTypes<T>, N extends keyof T> = T[N]["input"];
type OutputOf<T extends StepTypes<T>, N extends keyof T> = T[N]["output"];

type Proxy = Record<string, (batch: StepBatch<unknown>) => Promise<Outcome<unknown>[]>>;

/** Makes the coalescing calls of one workflow. */
export class BatchCalls<T extends StepTypes<T>> {
  readonly #steps: { readonly [N in keyof T]: StepCall };
  readonly #options: EpisodeOptions;
  readonly #traceparents: Map<string, string>;
  readonly #fences: Map<string, number>;
  readonly #local: LocalCalls;

  /** @param orders whose calls they are, with their W3C trace contexts, and which episode of each it is */
  constructor(
    steps: { readonly [N in keyof T]: StepCall },
    options: EpisodeOptions,
    orders: { orderId: string; traceparent: string; fence?: number }[],
  ) {
    this.#steps = steps;
    this.#options = options;
    const kept = orders.filter(({ traceparent }) => parseTraceParent(traceparent)?.sampled);
    this.#traceparents = new Map(kept.map(({ orderId, traceparent }) => [orderId, traceparent]));
    this.#fences = new Map(orders.map(({ orderId, fence = 0 }) => [orderId, fence]));
    this.#local = new LocalCalls(options);
  }

  /** The coalescing call of one activity. */
  of<N extends keyof T & string>(name: N): Coalescer<InputOf<T, N>, OutputOf<T, N>> {
    return new Coalescer(() => this.#ways(name, this.#steps[name]));
  }

  #ways<N extends keyof T & string>(name: N, step: StepCall): Ways<InputOf<T, N>, OutputOf<T, N>> {
    const { callee, decider = callee, patient = false, bulky = false } = step;
    const { stepTimeoutMs: startToCloseTimeout, settlePatienceMs } = this.#options;
    const retries = retriesOf(step, this.#options);
    const timing = { startToCloseTimeout, ...(patient && { scheduleToCloseTimeout: settlePatienceMs }) };
    const remote = (retry: RetryPolicy, attemptsBefore = 0) =>
      this.#call(proxyActivities<Proxy>({ ...timing, retry }), name, attemptsBefore);
    const alone = proxyLocalActivities<Proxy>({ startToCloseTimeout, retry: { maximumAttempts: 1 } });
    const part = this.#call(proxyActivities<Proxy>({ startToCloseTimeout, retry: retries.part }), name);
    const batch = this.#local.orRemote(this.#call(alone, name), remote(retries.rest, 1), remote(retries.all));
    return { batch, part, callee, decider, bulky };
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
      const batch = { entries, ...this.#tracesOf(entries), ...this.#fencesOf(entries), ...before };
      return activity(batch) as Promise<Outcome<OutputOf<T, N>>[]>;
    };
  }

  /** Nothing when no order is traced: an untraced saga has not one byte more in its history. */
  #tracesOf(entries: { orderId: string }[]): { traceparents?: string[] } {
    if (!entries.some(({ orderId }) => this.#traceparents.has(orderId))) return {};
    return { traceparents: entries.map(({ orderId }) => this.#traceparents.get(orderId) ?? "") };
  }

  #fencesOf(entries: { orderId: string }[]): { fences?: number[] } {
    const fences = entries.map(({ orderId }) => this.#fences.get(orderId) ?? 0);
    return fences.some((fence) => fence > 0) ? { fences } : {};
  }
}
