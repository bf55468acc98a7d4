import type { Outcome, StepBatch } from "../workflows/engine/step-batch.ts";
import { type StepTypes as LegacyStepTypes, steps as legacySteps } from "../workflows/legacy/step-table.ts";
import { steps as episodeSteps, type StepTypes } from "../workflows/step-table.ts";

/** Both kinds confirm orders: workflows of the kind before with parcels that are planned already. */
interface Confirmation {
  input: StepTypes["confirmOrder"]["input"] | LegacyStepTypes["confirmOrder"]["input"];
  output: StepTypes["confirmOrder"]["output"];
}

/** What goes into and comes out of each activity: those of episodes, and those that only workflows of the kind before use. */
type AllStepTypes = Omit<StepTypes, "confirmOrder"> &
  Omit<LegacyStepTypes, keyof StepTypes> & { confirmOrder: Confirmation };

/** The name of a step's activity. */
export type StepName = keyof AllStepTypes;
/** What one entry of an activity takes. */
export type InputOf<N extends StepName> = AllStepTypes[N]["input"];
/** What one entry of an activity answers. */
export type OutputOf<N extends StepName> = AllStepTypes[N]["output"];

/** What activities need to know of a step. */
export interface StepFacts {
  /** What it is called in traces and metrics. */
  readonly label: string;
  /** The two calls that its activity is made of, where it is not one; the name of a status is a move of the order. */
  readonly halves?: readonly [string, string];
  /** Whether it is tried for minutes. */
  readonly patient?: boolean;
}

/** Every step that has an activity. Where both kinds have it, it is the same. */
export const steps = { ...legacySteps, ...episodeSteps } as const satisfies Record<StepName, StepFacts>;

/** The activities that the worker provides: each takes a batch and answers with an outcome for each entry. */
export type Activities = {
  [N in StepName]: (batch: StepBatch<InputOf<N>>) => Promise<Outcome<OutputOf<N>>[]>;
};
