/** The argument of every activity that does a step: what many orders ask for in the same activation. */
export interface StepBatch<I> {
  /** 1 to 64 entries, each of its own order or parcel. */
  entries: I[];
  /** W3C trace context of the order of each entry, "" where it is not kept; absent when none is. */
  traceparents?: string[];
  /** Which episode of the order of each entry asks; absent: orders did not say it. */
  fences?: number[];
  /** Attempts that were made of this batch in another way before; absent: none. */
  attemptsBefore?: number;
}

/** Why one entry of a batch was refused: `shop.type.v1.Failure` as plain JSON. */
export interface Refusal {
  reason: string;
  message: string;
  domain: string;
  metadata: Record<string, string>;
}

/** What became of one entry of a batch: done, refused for good, or not decided yet. */
export type Outcome<O> =
  | { readonly kind: "done"; readonly value: O }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  /** With whom it waits for, when that is not who decides usually. */
  | { readonly kind: "pending"; readonly waitsFor?: string };

/** One activity call for many entries. Throws a `TemporalFailure` when the batch as a whole failed. */
export type BatchCall<I, O> = (entries: I[]) => Promise<Outcome<O>[]>;

/** What the failure of a batch's activity says besides its message. */
export interface BatchFailure {
  /** Whether the callee did not answer: then no part of the batch would fare better. */
  readonly away: boolean;
  /** Whether the callee says that what it was asked is invalid: it says so each time. Absent: not known. */
  readonly invalid?: boolean;
}
