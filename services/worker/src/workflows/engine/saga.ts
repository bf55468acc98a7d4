import { CancellationScope, patched } from "@temporalio/workflow";
import { Compensated, Resting, StepAway, StepInvalid, StepParked, StepRefused } from "./failures.ts";
import type { Refusal } from "./step-batch.ts";

/** Where a step stands, as in `shop.sagas.v1.SagaStepStatus`. */
export type StepStatus = "RUNNING" | "DONE" | "REFUSED" | "PARKED";

/** Something that the saga asks of a service, for one subject: an order, or a parcel. */
export interface Step<I, O> {
  /** For people; parcels append their location: "ship:BER". */
  readonly name: (input: I) => string;
  /**
   * @param again how often an operator had it asked anew after a final refusal: then it is another request
   * @throws {@link StepRefused} for a refusal of the callee
   * @throws {@link StepAway} when there is no answer now
   */
  readonly ask: (input: I, again: number) => Promise<O>;
  /** What the saga goes on with when an operator resolved the step; absent when nothing can stand in for its answer. */
  readonly resolved?: (input: I) => O;
  /** Refusals that are answers like any other: the saga goes on with them also where a step must succeed. */
  readonly turnedDown?: ReadonlySet<string>;
}

/** Takes back what a step did. It is idempotent, and succeeds when the step never happened. */
export type Undo<I> = Pick<Step<I, unknown>, "name" | "ask">;

/** For a step that has nothing to take back. */
export const nothing = undefined;

/** Whose saga it is: keeps the record of its steps, and knows what operators decided. */
export interface SagaSubject {
  /** @param error what the step failed with, when it is to be tried again */
  note(step: string, status: StepStatus, error?: string): void;
  /** How often an operator had the step asked anew after a final refusal. */
  again(step: string): number;
  /** Whether an operator took care of the step by other means. */
  isResolved(step: string): boolean;
  /** Whether the step was refused in an earlier episode and nobody has decided yet. It stays parked then. */
  staysParked(step: string): boolean;
  /**
   * The step was refused although it must succeed: it waits for an operator.
   *
   * @param isOpen whether an earlier attempt may have had its effect: then a retry is the same request
   */
  park(step: string, refusal: Refusal, isOpen?: boolean): void;
  /** The order waits for somebody who is away, or has not decided. */
  awaits(whom: string): void;
  /** The callee of a step calls it invalid; answers in how many episodes in a row, with this one, it has. */
  calledInvalid(step: string): number;
  /**
   * The saga begins to take back what it did.
   *
   * @throws the cause, when it is none: a fault in the workflow's code is no reason to undo anything
   */
  compensating(cause: unknown): void;
}

/** What the body of a saga is given. */
export interface SagaBody {
  /** Does a step whose undo is registered before. A refusal ends the saga: all is undone, the last first. */
  step<I, O>(action: Step<I, O>, undo: Undo<I> | typeof nothing, input: I): Promise<O>;
  /** The same for a step that must succeed: when it is refused, it is parked. */
  forward<I, O>(action: Step<I, O>, undo: Undo<I> | typeof nothing, input: I): Promise<O>;
  /** Has something undone that this run did not do, but one that was settled, or lost, before may have done. */
  alsoUndo<I>(undo: Undo<I>, input: I): void;
}

/**
 * Runs the body. When it throws, whatever its steps did is undone in reverse order, and {@link Compensated} is thrown; but
 * when the order only rests, nothing is undone. Undoing cannot be cancelled. An undo may rest as well: then a later episode
 * undoes all of it again.
 */
export async function saga<T>(subject: SagaSubject, body: (saga: SagaBody) => Promise<T>): Promise<T> {
  const undos: (() => Promise<unknown>)[] = [];
  const alsoUndo = <I>(undo: Undo<I>, input: I) => {
    undos.push(() => insist(subject, { ...undo, resolved: () => undefined }, input));
  };
  const withUndo = <I, O>(undo: Undo<I> | undefined, input: I, work: () => Promise<O>) => {
    if (undo) alsoUndo(undo, input);
    return work();
  };
  try {
    return await body({
      step: (action, undo, input) => withUndo(undo, input, () => perform(subject, action, input)),
      forward: (action, undo, input) => withUndo(undo, input, () => insist(subject, action, input)),
      alsoUndo,
    });
  } catch (error) {
    if (error instanceof Resting) throw error;
    subject.compensating(error);
    await CancellationScope.nonCancellable(async () => {
      for (const undo of undos.reverse()) await undo();
    });
    throw new Compensated("all is undone", { cause: error });
  }
}

/** Does a step once. */
async function perform<I, O>(subject: SagaSubject, action: Step<I, O>, input: I): Promise<O> {
  const name = action.name(input);
  subject.note(name, "RUNNING");
  try {
    const output = await action.ask(input, subject.again(name));
    subject.note(name, "DONE");
    return output;
  } catch (error) {
    if (error instanceof StepAway) {
      subject.note(name, "RUNNING", error.message);
      subject.awaits(error.waitsFor);
    } else subject.note(name, "REFUSED");
    throw error;
  }
}

/** Does a step that nothing may refuse: if something does, it waits for an operator. */
async function insist<I, O>(subject: SagaSubject, action: Step<I, O>, input: I): Promise<O> {
  const name = action.name(input);
  if (action.resolved && subject.isResolved(name)) {
    subject.note(name, "DONE");
    return action.resolved(input);
  }
  if (subject.staysParked(name)) throw new StepParked(name);
  try {
    return await perform(
      subject,
      { ...action, ask: (...asked) => askedInVain(subject, name, () => action.ask(...asked)) },
      input,
    );
  } catch (error) {
    if (!(error instanceof StepRefused) || action.turnedDown?.has(error.refusal.reason)) throw error;
    subject.note(name, "PARKED", error.message);
    subject.park(name, error.refusal, error.isOpen);
    throw new StepParked(name);
  }
}

/**
 * What is said to be invalid is asked so often before an operator has to decide: for minutes, in which a rollout ends whose old and new pods do
 * not understand each other.
 */
const invalidTries = 20;

/** Asks, and takes it for a refusal when the callee has called it invalid for long. */
async function askedInVain<O>(subject: SagaSubject, step: string, ask: () => Promise<O>): Promise<O> {
  try {
    return await ask();
  } catch (error) {
    const isLast = error instanceof StepInvalid && subject.calledInvalid(step) >= invalidTries;
    if (isLast && patched("invalid-parked")) throw new StepRefused(error.refusal, true);
    throw error;
  }
}

/** Waits for all, also when one fails; then throws the first failure that is more than a rest, if there is one. */
export async function together<T>(promises: Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  const reasons = settled.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
  if (reasons.length > 0) throw reasons.find((reason) => !(reason instanceof Resting)) ?? reasons[0];
  return settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}
