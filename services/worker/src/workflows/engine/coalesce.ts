import {
  ApplicationFailure,
  CancellationScope,
  condition,
  log,
  TemporalFailure,
  TimeoutFailure,
} from "@temporalio/workflow";
import { describeFailure, EpisodeOver, StepAway, StepInvalid, StepRefused } from "./failures.ts";
import type { BatchCall, BatchFailure, Outcome, Refusal } from "./step-batch.ts";

/** The most entries of one batch: as many as a workflow has orders. */
export const maxBatch = 64;
/** The most of what is bulky in one batch, in characters of its JSON: Temporal takes 2 MiB, a callee 8. */
export const maxBatchLength = 512 * 1024;

/** How a batch is asked for. Each way retries by itself before it throws. */
export interface Ways<I, O> {
  /** The whole batch, at first. */
  readonly batch: BatchCall<I, O>;
  /** A part of a batch that failed. Quick, because it only looks for the entry that poisons the batch. */
  readonly part: BatchCall<I, O>;
  /** Who is asked. */
  readonly callee: string;
  /** Who has not decided when an entry is undecided. */
  readonly decider: string;
  /** Whether entries may be so large that 64 of them are too much for one call; default false. */
  readonly bulky?: boolean;
}

interface Entry<I, O> {
  readonly input: I;
  readonly resolve: (output: O) => void;
  readonly reject: (error: unknown) => void;
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
 * - A refusal rejects the caller with {@link StepRefused}; with {@link EpisodeOver}, when a later episode has the order.
 * - When the callee is away, all callers get {@link StepAway}; so does the caller of an undecided entry.
 * - A batch that fails for another reason is halved until the entry that poisons it stands alone; its caller gets
 *   {@link StepAway} as well: it is asked again later, by itself. It is {@link StepInvalid} when the callee says that the entry is.
 * - A caller whose cancellation scope is cancelled is rejected at once; the others of its batch are not affected.
 */
export class Coalescer<I, O> {
  readonly #open: () => Ways<I, O>;
  #opened: Ways<I, O> | undefined;
  #waiting: Entry<I, O>[] = [];
  #gathering = false;

  /** @param open called when something is first asked for: a workflow takes few of the steps that there are */
  constructor(open: () => Ways<I, O>) {
    this.#open = open;
  }

  get #ways(): Ways<I, O> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  /** Asks for one entry; a cancellation does not interrupt it. */
  askToTheEnd(input: I): Promise<O> {
    return CancellationScope.nonCancellable(() => this.ask(input));
  }

  /** Asks for one entry. */
  ask(input: I): Promise<O> {
    return new Promise((resolve, reject) => {
      const entry: Entry<I, O> = { input, resolve, reject, abandoned: false };
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
    const batch = this.#waiting.splice(0, this.#fitting());
    this.#wait([]);
    const failure = await this.#try(batch, this.#ways.batch);
    if (failure) await this.#narrow(batch, failure);
  }

  /** How many of those that wait go out together: one at least. */
  #fitting(): number {
    if (!this.#ways.bulky) return maxBatch;
    let length = 0;
    const over = this.#waiting.findIndex(({ input }) => {
      length += JSON.stringify(input).length;
      return length > maxBatchLength;
    });
    return over < 0 ? maxBatch : Math.min(maxBatch, Math.max(1, over));
  }

  /** Gives up on a batch whose callee is away; else looks for the entries that make it fail, in both halves at once. */
  async #narrow(batch: Entry<I, O>[], failure: TemporalFailure): Promise<void> {
    const { callee } = this.#ways;
    const error = describeFailure(failure);
    if (isAway(failure) || batch.length === 1) {
      log.warn(isAway(failure) ? "a service is away" : "a step fails for one order", {
        callee,
        error,
        orders: batch.length,
      });
      const refusal = isAway(failure) ? undefined : invalidityOf(failure);
      for (const entry of batch) entry.reject(refusal ? new StepInvalid(callee, refusal) : new StepAway(callee, error));
      return;
    }
    const middle = Math.ceil(batch.length / 2);
    const halves = [batch.slice(0, middle), batch.slice(middle)];
    await Promise.all(
      halves.map(async (half) => {
        const again = await this.#try(half, this.#ways.part);
        if (again) await this.#narrow(half, again);
      }),
    );
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
    batch.forEach((entry, index) => {
      const outcome = outcomes[index];
      if (outcome?.kind === "done") entry.resolve(outcome.value);
      else if (outcome?.kind === "refused") entry.reject(this.#refusalOf(outcome.refusal));
      else entry.reject(new StepAway(outcome?.waitsFor ?? this.#ways.decider, "not decided yet"));
    });
  }

  #refusalOf(refusal: Refusal): Error {
    const isOver = refusal.reason === episodeOver;
    return isOver ? new EpisodeOver(this.#ways.callee, refusal.message) : new StepRefused(refusal);
  }
}

/** What a callee of any kind says to an episode that is not the latest of its order. */
const episodeOver = "EPISODE_OVER";

/** Why an entry that was asked alone is invalid; undefined when it failed for another reason. */
function invalidityOf(failure: TemporalFailure): Refusal | undefined {
  for (let cause: unknown = failure; cause instanceof TemporalFailure; cause = cause.cause) {
    if (!(cause instanceof ApplicationFailure)) continue;
    const [details] = (cause.details ?? []) as [BatchFailure?];
    if (details?.invalid !== true) return undefined;
    return { reason: "INVALID_ARGUMENT", message: describeFailure(failure), domain: "", metadata: {} };
  }
  return undefined;
}

/** Whether the callee did not answer, as far as its activity can tell; one that did not end in time is away as well. */
function isAway(failure: TemporalFailure): boolean {
  for (let cause: unknown = failure; cause instanceof TemporalFailure; cause = cause.cause) {
    if (cause instanceof TimeoutFailure) return true;
    if (cause instanceof ApplicationFailure) return (cause.details as [BatchFailure?] | undefined)?.[0]?.away === true;
  }
  return false;
}
