import { CancellationScope, condition, sleep, TemporalFailure } from "@temporalio/workflow";
import { describeFailure, StepRefused } from "../../engine/failures.ts";
import type { BatchCall, Outcome } from "../../engine/step-batch.ts";
import { StepFailed } from "./legacy-failures.ts";

/** The most entries of one batch: as many as a workflow has orders. */
export const maxBatch = 64;

/** How a batch is asked for. Each way retries by itself before it throws. */
export interface Ways<I, O> {
  /** The whole batch, at first. */
  readonly batch: BatchCall<I, O>;
  /** A part of a batch that failed. Quick, because it only looks for the entry that poisons the batch. */
  readonly part: BatchCall<I, O>;
  /** The entry that failed alone, with patience; absent when it is not worth waiting for. */
  readonly alone?: BatchCall<I, O>;
}

/** How undecided entries are asked for again, in milliseconds: first pause, longest pause, and when to stop. */
export interface PendingPolicy {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly budgetMs: number;
}

interface Entry<I, O> {
  readonly input: I;
  readonly resolve: (output: O) => void;
  readonly reject: (error: unknown) => void;
  readonly since: number;
  asked: number;
  abandoned: boolean;
}

/**
 * Waits until all coroutines of the present activation have come to rest, however deep they are. A blocked condition is
 * looked at only then; this one is true when it is looked at for the second time.
 */
export async function afterMicrotasks(): Promise<void> {
  // Conditions are looked at between the jobs of an activation too, before any microtask has run.
  await Promise.resolve();
  let looks = 0;
  await condition(() => looks++ > 0);
}

/**
 * Makes one activity call of what many coroutines ask for in the same activation, and gives each its own outcome.
 *
 * - A refusal rejects the caller with {@link StepRefused}.
 * - An undecided entry goes on by itself: it is asked for again after a pause, together with others.
 * - A batch that fails is halved until the entry that poisons it stands alone; that caller gets {@link StepFailed}.
 * - A caller whose cancellation scope is cancelled is rejected at once; the others of its batch are not affected.
 */
export class Coalescer<I, O> {
  readonly #ways: Ways<I, O>;
  readonly #pending: PendingPolicy;
  #waiting: Entry<I, O>[] = [];
  #gathering = false;

  constructor(ways: Ways<I, O>, pending: PendingPolicy) {
    this.#ways = ways;
    this.#pending = pending;
  }

  /** Asks for one entry; a cancellation does not interrupt it. */
  askToTheEnd(input: I): Promise<O> {
    return new Promise((resolve, reject) => {
      this.#wait([{ input, resolve, reject, since: Date.now(), asked: 0, abandoned: false }]);
    });
  }

  /** Asks for one entry. */
  ask(input: I): Promise<O> {
    return new Promise((resolve, reject) => {
      const entry: Entry<I, O> = { input, resolve, reject, since: Date.now(), asked: 0, abandoned: false };
      const scope = CancellationScope.current();
      if (scope.cancellable) {
        scope.cancelRequested.catch((error) => {
          entry.abandoned = true;
          reject(error);
        });
      }
      if (!scope.consideredCancelled) this.#wait([entry]);
    });
  }

  #wait(entries: Entry<I, O>[]): void {
    this.#waiting.push(...entries);
    if (this.#gathering || this.#waiting.length === 0) return;
    this.#gathering = true;
    // Not in the caller's scope: the batch belongs to all who are in it.
    void CancellationScope.nonCancellable(() => this.#gather());
  }

  async #gather(): Promise<void> {
    await afterMicrotasks();
    this.#gathering = false;
    const batch = this.#waiting.splice(0, maxBatch);
    this.#wait([]);
    const failure = await this.#try(batch, this.#ways.batch);
    if (failure) await this.#narrow(batch, failure);
  }

  /** Looks for the entries that make a batch fail, in both halves at the same time. */
  async #narrow(batch: Entry<I, O>[], failure: TemporalFailure): Promise<void> {
    const [first, ...others] = batch;
    if (first && others.length === 0) return this.#standsAlone(first, failure);
    const middle = Math.ceil(batch.length / 2);
    const halves = [batch.slice(0, middle), batch.slice(middle)];
    await Promise.all(
      halves.map(async (half) => {
        const again = await this.#try(half, this.#ways.part);
        if (again) await this.#narrow(half, again);
      }),
    );
  }

  async #standsAlone(entry: Entry<I, O>, failure: TemporalFailure): Promise<void> {
    const last = this.#ways.alone ? await this.#try([entry], this.#ways.alone) : failure;
    if (!last) return;
    // The end of the patience is a time-out, which does not say what it was that failed.
    const reasons = new Set([describeFailure(last), describeFailure(failure)]);
    entry.reject(new StepFailed([...reasons].join("; before that: ")));
  }

  /** Makes one call and delivers its outcomes. Returns the failure of the batch as a whole, if there is one. */
  async #try(batch: Entry<I, O>[], call: BatchCall<I, O>): Promise<TemporalFailure | undefined> {
    const wanted = batch.filter((entry) => !entry.abandoned);
    if (wanted.length === 0) return undefined;
    try {
      this.#deliver(wanted, await call(wanted.map((entry) => entry.input)));
      return undefined;
    } catch (error) {
      // An ordinary activity fails with ActivityFailure, a local one with the failure itself.
      if (error instanceof TemporalFailure) return error;
      throw error;
    }
  }

  #deliver(batch: Entry<I, O>[], outcomes: Outcome<O>[]): void {
    if (outcomes.length !== batch.length)
      throw new TypeError(`${outcomes.length} outcomes for ${batch.length} entries`);
    const undecided: Entry<I, O>[] = [];
    batch.forEach((entry, index) => {
      const outcome = outcomes[index];
      if (outcome?.kind === "done") entry.resolve(outcome.value);
      else if (outcome?.kind === "refused") entry.reject(new StepRefused(outcome.refusal));
      else undecided.push(entry);
    });
    if (undecided.length > 0) void this.#askAgain(undecided);
  }

  /** One timer for all entries of a batch that are not decided. */
  async #askAgain(undecided: Entry<I, O>[]): Promise<void> {
    const { firstMs, maxMs, budgetMs } = this.#pending;
    const now = Date.now();
    const patient = undecided.filter((entry) => now - entry.since < budgetMs);
    for (const entry of undecided) {
      if (!patient.includes(entry)) entry.reject(new StepFailed(`still undecided after ${now - entry.since} ms`));
    }
    if (patient.length === 0) return;
    await sleep(Math.min(maxMs, firstMs * 2 ** Math.min(...patient.map((entry) => entry.asked++))));
    this.#wait(patient.filter((entry) => !entry.abandoned));
  }
}
