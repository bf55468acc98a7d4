import type { RetryPolicy } from "@temporalio/common";
import type { EpisodeOptions } from "./options.ts";

/** What the row of a step says about how often it is tried. */
export interface StepTries {
  /** How often a batch of the step is tried; absent: as often as the options say. */
  readonly attempts?: number;
  /** Whether it is tried for minutes: without it nothing that the episode did is remembered. */
  readonly patient?: boolean;
}

/** The policies by which the batches of a step are tried again, as Temporal is told. */
export interface StepRetries {
  /** Of a batch whose attempts are all made by one activity. */
  readonly all: RetryPolicy;
  /** Of the attempts that are left after a local one, and the pause behind it. */
  readonly rest: RetryPolicy;
  /** Of a part of a batch that failed. */
  readonly part: RetryPolicy;
}

/** How often a part of a failed batch is tried: twice, so that one lost call does not single out a healthy entry. */
const partAttempts = 2;
/** How much longer than others a patient step pauses at most, and the longest that it does, in milliseconds. */
const patientPauses = 10;
const patientPauseMs = 10_000;

/**
 * How a step is tried again when it fails; a refusal is an answer, and never repeated. One attempt and one pause come before what
 * is left after a local attempt: its policy goes on where the whole one would be by then.
 */
export function retriesOf({ attempts, patient = false }: StepTries, options: EpisodeOptions): StepRetries {
  const { firstRetryMs, maxRetryMs } = options;
  const policy = (maximumAttempts: number, initialInterval = firstRetryMs, longest = maxRetryMs): RetryPolicy => {
    const maximumInterval = Math.max(longest, initialInterval);
    return { initialInterval, backoffCoefficient: 2, maximumInterval, maximumAttempts };
  };
  const part = policy(partAttempts);
  if (patient) {
    // Whoever waits for the order waits for it as well: no pause may be as long as an outage.
    const longest = Math.min(maxRetryMs * patientPauses, patientPauseMs);
    const all = policy(Number.POSITIVE_INFINITY, firstRetryMs, longest);
    return { all, rest: all, part };
  }
  const tries = attempts ?? options.attempts;
  return { all: policy(tries), rest: policy(Math.max(1, tries - 1), firstRetryMs * 2), part };
}
