import { TemporalFailure } from "@temporalio/common";
import type { Refusal } from "./step-batch.ts";

/** The callee refuses this entry; asking again is of no use. */
export class StepRefused extends Error {
  override readonly name = "StepRefused";
  readonly refusal: Refusal;
  /** Whether an earlier attempt may have had its effect. */
  readonly isOpen: boolean;

  constructor(refusal: Refusal, isOpen = false) {
    super(`${refusal.reason}: ${refusal.message}`);
    this.refusal = refusal;
    this.isOpen = isOpen;
  }
}

/** Nothing more can be done for an order now: it rests until something has changed. Not a failure of its saga. */
export abstract class Resting extends Error {}

/** Whom an order waits for of which a second person has to approve a refund. Nobody tells when that is; it takes hours. */
export const approval = "approval";

/** Whoever was asked is away, or has not decided. The step is asked again in a later episode. */
export class StepAway extends Resting {
  override readonly name: string = "StepAway";
  /** Whom the order waits for, for example "payments". */
  readonly waitsFor: string;

  constructor(waitsFor: string, message: string) {
    super(message);
    this.waitsFor = waitsFor;
  }
}

/**
 * The callee says that what it was asked is invalid, of this entry alone. That is a fault of ours, which a rollout may mend; until then nobody
 * who waits is helped by asking again.
 */
export class StepInvalid extends StepAway {
  override readonly name = "StepInvalid";
  readonly refusal: Refusal;

  constructor(callee: string, refusal: Refusal) {
    super(callee, refusal.message);
    this.refusal = refusal;
  }
}

/**
 * A later episode has the order, and has asked for something: this one was taken for lost. Nothing is undone, and nothing it has to tell is taken
 * any more. Were it not so (orders was restored from a copy of yesterday), the order is carried again until its episodes are the latest.
 */
export class EpisodeOver extends StepAway {
  override readonly name = "EpisodeOver";
}

/** A step that must succeed was refused for good: an operator has to decide. */
export class StepParked extends Resting {
  override readonly name = "StepParked";
}

/** A person has to decide whether the order goes on. Who asked for it knows when that has happened. */
export class UnderReview extends Resting {
  override readonly name = "UnderReview";
}

/** There is no stock for the order yet. Inventory tells orders when its turn has come. */
export class AwaitsStock extends Resting {
  override readonly name = "AwaitsStock";
}

/** A saga has undone all that its steps did. The cause is why. */
export class Compensated extends Error {
  override readonly name = "Compensated";
}

/** The innermost cause of a failure, in one line: what an operator wants to read. */
export function describeFailure(failure: unknown): string {
  let inner = failure;
  while (inner instanceof TemporalFailure && inner.cause !== undefined) inner = inner.cause;
  return inner instanceof Error ? inner.message : String(inner);
}
