import { remainingMs } from "#platform/context.ts";

/** The part of the time left that is kept for the answer itself, and its bound in milliseconds. */
const reserve = { share: 0.2, maxMs: 500 };

/** How long a call may wait for something, so that its answer is still in time; Infinity without a deadline and a bound. */
export function patienceMs(maxMs = Number.POSITIVE_INFINITY): number {
  const left = remainingMs();
  return Math.max(0, Math.min(maxMs, left - Math.min(left * reserve.share, reserve.maxMs)));
}
