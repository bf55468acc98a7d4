import { TemporalFailure } from "@temporalio/common";
import type { Refusal } from "./step-batch.ts";

/** The callee refuses this entry; asking again is of no use. */
export class StepRefused extends Error {
  override readonly name = "StepRefused";
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(`${refusal.reason}: ${refusal.message}`);
    this.refusal = refusal;
  }
}

/** The step kept failing for this entry alone, for reasons of infrastructure or of a fault in the code. */
export class StepFailed extends Error {
  override readonly name: string = "StepFailed";
}

/** A step that must succeed was refused: for good, as far as the callee is concerned. */
export class MustNotRefuse extends StepFailed {
  override readonly name = "MustNotRefuse";
}

/** Nobody made a step that kept failing work in time: the order is not pursued any further. */
export class StepGivenUp extends Error {
  override readonly name = "StepGivenUp";
}

/** The innermost cause of a failure, in one line: what an operator wants to read. */
export function describeFailure(failure: unknown): string {
  let inner = failure;
  while (inner instanceof TemporalFailure && inner.cause !== undefined) inner = inner.cause;
  return inner instanceof Error ? inner.message : String(inner);
}
