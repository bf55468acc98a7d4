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
