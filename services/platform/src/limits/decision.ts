import type { RateClassName } from "./rate-class.ts";

/** By what callers are told apart: by who they are, or by where they call from when nobody asks them. */
export const callerKinds = ["caller", "address"] as const;
export type CallerKind = (typeof callerKinds)[number];

/** A decision about one call. */
export interface Decision {
  readonly class: RateClassName;
  readonly by: CallerKind;
  readonly refused: boolean;
}
