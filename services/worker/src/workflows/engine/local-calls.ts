import { ApplicationFailure, sleep, TemporalFailure, workflowInfo } from "@temporalio/workflow";
import type { BatchCall } from "./step-batch.ts";

/** Events of a workflow that is in its first workflow task: started, task scheduled, task started. */
export const firstTaskEvents = 3;
/** The core heartbeats a workflow task with local activities after this share of its time. */
const heartbeatShare = 0.8;

declare global {
  /** Local activities that the workflow waits for now. A module is shared by all workflows of a thread; what is global is one's own. */
  var localCallsRunning: number | undefined;
}

/** Whether the workflow waits for a local activity now. */
export function isLocalCallRunning(): boolean {
  return (globalThis.localCallsRunning ?? 0) > 0;
}

/**
 * Makes batch calls as local activities, while that is safe, and otherwise as ordinary ones.
 *
 * Safe is the first workflow task, up to its heartbeat. A later task may carry queries; the SDK's core (1.24) answers them
 * while a local activity runs, which ends the task: what the activity answers then reaches the workflow after the jobs of
 * the next task, but before them in a replay. Nothing else runs in the first task, and a query that comes with it makes it
 * fail; see `legacy/engine/query-guard.ts`.
 */
export class LocalCalls {
  readonly #stepTimeoutMs: number;
  readonly #firstRetryMs: number;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: { stepTimeoutMs: number; firstRetryMs: number }) {
    this.#stepTimeoutMs = options.stepTimeoutMs;
    this.#firstRetryMs = options.firstRetryMs;
  }

  /**
   * A call whose first attempt is local, when it is safe.
   *
   * @param local  makes one attempt
   * @param rest   makes the attempts that are left after it
   * @param remote makes all attempts
   */
  orRemote<I, O>(local: BatchCall<I, O>, rest: BatchCall<I, O>, remote: BatchCall<I, O>): BatchCall<I, O> {
    return async (entries) => {
      if (!this.#isSafe()) return remote(entries);
      try {
        return await this.#inTurn(() => (this.#isSafe() ? counted(() => local(entries)) : remote(entries)));
      } catch (error) {
        if (!(error instanceof TemporalFailure) || isFinal(error)) throw error;
        await sleep(this.#firstRetryMs);
        return rest(entries);
      }
    };
  }

  /** One at a time: two that run at once end in activations of their own, but a replay may resolve both in one. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => {});
    return mine;
  }

  #isSafe(): boolean {
    const { historyLength, runStartTime, taskTimeoutMs } = workflowInfo();
    const endsMs = Date.now() - runStartTime.getTime() + this.#stepTimeoutMs;
    return historyLength <= firstTaskEvents && endsMs < taskTimeoutMs * heartbeatShare;
  }
}

async function counted<T>(call: () => Promise<T>): Promise<T> {
  globalThis.localCallsRunning = (globalThis.localCallsRunning ?? 0) + 1;
  try {
    return await call();
  } finally {
    globalThis.localCallsRunning -= 1;
  }
}

function isFinal(failure: TemporalFailure): boolean {
  return failure instanceof ApplicationFailure && failure.nonRetryable === true;
}
