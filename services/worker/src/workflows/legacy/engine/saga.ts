import { CancellationScope } from "@temporalio/workflow";
import { StepRefused } from "../../engine/failures.ts";
import type { StepStatus } from "../../engine/saga.ts";
import { MustNotRefuse, StepFailed, StepGivenUp } from "./legacy-failures.ts";

/** Something that the saga asks of a service, for one subject: an order, or a parcel. */
export interface Step<I, O> {
  /** For people; parcels append their location: "ship:BER". */
  readonly name: (input: I) => string;
  /**
   * @param again how often an operator had it asked anew after a final refusal: then it is another request
   * @throws {@link StepRefused} for a refusal of the callee
   * @throws {@link StepFailed} when it kept failing
   */
  readonly ask: (input: I, again: number) => Promise<O>;
  /** What the saga goes on with when an operator resolved the step; absent when nothing can stand in for its answer. */
  readonly resolved?: (input: I) => O;
  /** How long it may be parked, in milliseconds; absent: until an operator decides. */
  readonly parkMs?: number;
}

/** Takes back what a step did. It is idempotent, and succeeds when the step never happened. */
export type Undo<I> = Pick<Step<I, unknown>, "name" | "ask">;

/** For a step that has nothing to take back. */
export const nothing = undefined;

/** What becomes of a parked step: an operator decides, or nobody did in time. */
export type Decision = "retry" | "resolve" | "expired";

/** Whose saga it is: keeps the record of its steps, and parks those that keep failing. */
export interface SagaSubject {
  note(step: string, status: StepStatus): void;
  /** Waits for an operator. Rejects when the surrounding scope is cancelled. */
  park(step: string, error: string, parkMs: number | undefined): Promise<Decision>;
  /** The saga begins to take back what it did. */
  compensating(): void;
}

/** What the body of a saga is given. */
export interface SagaBody {
  /** Does a step whose undo is registered before. A refusal ends the saga: all is undone, the last first. */
  step<I, O>(action: Step<I, O>, undo: Undo<I> | typeof nothing, input: I): Promise<O>;
  /** Has something undone that this run did not do, but a run that was forgotten may have done. */
  alsoUndo<I>(undo: Undo<I>, input: I): void;
  /** Does a step that must succeed: a refusal is given to an operator, like any other failure. */
  forward<I, O>(action: Step<I, O>, input: I): Promise<O>;
}

/**
 * Runs the body. When it throws, whatever its steps did is undone in reverse order, and the error is thrown on. Undoing
 * cannot be cancelled, and an undo that keeps failing is parked until an operator has it tried again or resolves it.
 */
export async function saga<T>(subject: SagaSubject, body: (saga: SagaBody) => Promise<T>): Promise<T> {
  const undos: (() => Promise<unknown>)[] = [];
  const alsoUndo = <I>(undo: Undo<I>, input: I) => {
    undos.push(() => insist(subject, { ...undo, resolved: () => undefined }, input));
  };
  try {
    return await body({
      step: (action, undo, input) => {
        if (undo) alsoUndo(undo, input);
        return perform(subject, action, input);
      },
      alsoUndo,
      forward: (action, input) => insist(subject, action, input),
    });
  } catch (error) {
    subject.compensating();
    await CancellationScope.nonCancellable(async () => {
      for (const undo of undos.reverse()) await undo();
    });
    throw error;
  }
}

/** Does a step until it succeeds, is refused or is given up. Parked when it keeps failing. */
async function perform<I, O>(subject: SagaSubject, action: Step<I, O>, input: I): Promise<O> {
  const name = action.name(input);
  for (let again = 0; ; ) {
    subject.note(name, "RUNNING");
    try {
      const output = await action.ask(input, again);
      subject.note(name, "DONE");
      return output;
    } catch (error) {
      subject.note(name, error instanceof StepFailed ? "PARKED" : "REFUSED");
      if (!(error instanceof StepFailed)) throw error;
      const decision = await subject.park(name, error.message, action.parkMs);
      // What failed otherwise may have had its effect: only what was refused may become another request.
      if (decision === "retry" && error instanceof MustNotRefuse) again++;
      if (decision === "retry") continue;
      const resolved = decision === "resolve" ? action.resolved : undefined;
      subject.note(name, resolved ? "DONE" : "REFUSED");
      if (!resolved) throw new StepGivenUp(error.message);
      return resolved(input);
    }
  }
}

/** As {@link perform}, for a step that nothing may refuse. */
function insist<I, O>(subject: SagaSubject, action: Step<I, O>, input: I): Promise<O> {
  const ask = async (_: I, again: number) => {
    try {
      return await action.ask(input, again);
    } catch (error) {
      throw error instanceof StepRefused ? new MustNotRefuse(error.message) : error;
    }
  };
  return perform(subject, { ...action, ask }, input);
}

/** Waits for all, also when one fails; then throws the first failure. So no coroutine is left behind. */
export async function together<T>(promises: Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}
