import { proxyActivities, proxyLocalActivities, type RetryPolicy } from "@temporalio/workflow";
import { atOnce, Coalescer, oneAtATime, type Turn, type Ways } from "./coalesce.ts";
import type { InputOf, OutputOf, StepList, StepName } from "./step-types.ts";
import type { Outcome, SagaOptions, SagaOrder } from "./types.ts";

/**
 * How a step is called.
 *
 * - `checkout`: as a local activity in the present workflow task; what keeps failing is not tried for long.
 * - `short`: the same, but with patience, because the saga only goes forward or back from there.
 * - `patient`: as an ordinary activity, with patience: compensations.
 * - `long`: as an ordinary activity with heartbeats, with patience: what the outside world takes its time for.
 */
export type StepKind = "checkout" | "short" | "patient" | "long";

type Proxy = Record<string, (list: StepList<unknown>) => Promise<Outcome<unknown>[]>>;

/** A retry that waits longer is a timer: while a workflow task is open, the workflow hears no signal, update or query. */
const LOCAL_RETRY_THRESHOLD_MS = 250;
/** How often a part of a failed list is tried: twice, so that one lost call does not single out a healthy entry. */
const PART_ATTEMPTS = 2;
/** What a long step may take beyond its own bound, to answer. */
const LONG_STEP_GRACE_MS = 30_000;
/** The longest that something outside may stay undecided before an operator looks at it: a week. */
const LONG_PENDING_MS = 7 * 86_400_000;

/** Makes the coalescing calls of one workflow. */
export class ListCalls {
  readonly #options: SagaOptions;
  readonly #traceparents: Map<string, string>;
  readonly #localTurn: Turn = oneAtATime();

  constructor(options: SagaOptions, orders: SagaOrder[]) {
    this.#options = options;
    this.#traceparents = new Map(orders.map((order) => [order.orderId, order.traceparent]));
  }

  /** The coalescing call of one activity. */
  of<N extends StepName>(name: N, kind: StepKind): Coalescer<InputOf<N>, OutputOf<N>> {
    const local = kind === "checkout" || kind === "short";
    const ways = this.#ways(name, kind);
    return new Coalescer(ways, this.#pending(kind), local ? this.#localTurn : atOnce);
  }

  #pending(kind: StepKind) {
    const { pendingFirstMs: firstMs, pendingMaxMs: maxMs, checkoutPatienceMs, patienceMs } = this.#options;
    const budgetMs = kind === "checkout" ? checkoutPatienceMs : kind === "long" ? LONG_PENDING_MS : patienceMs;
    return { firstMs, maxMs, budgetMs };
  }

  #ways<N extends StepName>(name: N, kind: StepKind): Ways<InputOf<N>, OutputOf<N>> {
    const { stepTimeoutMs, longStepMs, heartbeatMs, patienceMs, attempts } = this.#options;
    const timing =
      kind === "long"
        ? { startToCloseTimeout: longStepMs + LONG_STEP_GRACE_MS, heartbeatTimeout: heartbeatMs }
        : { startToCloseTimeout: stepTimeoutMs };
    const remote = (retry: RetryPolicy) => proxyActivities<Proxy>({ ...timing, retry });
    const list =
      kind === "checkout" || kind === "short"
        ? proxyLocalActivities<Proxy>({
            ...timing,
            retry: this.#retry(attempts),
            localRetryThreshold: LOCAL_RETRY_THRESHOLD_MS,
          })
        : remote(this.#retry(attempts));
    const part = remote(this.#retry(PART_ATTEMPTS));
    const ways = { list: this.#call(list, name), part: this.#call(part, name) };
    if (kind === "checkout") return ways;
    const retry = this.#retry(Number.POSITIVE_INFINITY);
    const alone = proxyActivities<Proxy>({ ...timing, scheduleToCloseTimeout: patienceMs, retry });
    return { ...ways, alone: this.#call(alone, name) };
  }

  #retry(maximumAttempts: number): RetryPolicy {
    const { firstRetryMs, maxRetryMs } = this.#options;
    return { initialInterval: firstRetryMs, backoffCoefficient: 2, maximumInterval: maxRetryMs, maximumAttempts };
  }

  #call<N extends StepName>(proxy: Proxy, name: N) {
    return (entries: InputOf<N>[]): Promise<Outcome<OutputOf<N>>[]> => {
      const [first] = entries;
      const traceparent = (first && this.#traceparents.get(first.orderId)) ?? "";
      const activity = proxy[name];
      if (!activity) throw new TypeError(`there is no activity ${name}`);
      return activity({ entries, traceparent }) as Promise<Outcome<OutputOf<N>>[]>;
    };
  }
}
