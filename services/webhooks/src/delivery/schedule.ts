import { randomInt } from "node:crypto";

/** The longest time for which an endpoint may have itself left alone, in milliseconds. */
export const longestRetryAfterMs = 24 * 3_600_000;

/**
 * How long to wait before the next attempt, in milliseconds; undefined when that was the last one.
 *
 * @param tried how often it was tried, at least once
 * @param chance from 0 to 1: a pause is up to a fifth longer, so that what failed together does not come back together
 */
export function pauseAfter(
  pauses: readonly number[],
  tried: number,
  chance = randomInt(1_000) / 999,
): number | undefined {
  const pause = pauses[tried - 1];
  return pause === undefined ? undefined : Math.round(pause * (1 + chance / 5));
}

/** What an endpoint says in `Retry-After`, seconds or a date, in milliseconds, up to a day; 0 for what cannot be read. */
export function retryAfterMs(text: string | undefined, now = Date.now()): number {
  if (text === undefined) return 0;
  const asked = /^\d{1,9}$/.test(text.trim()) ? Number(text) * 1_000 : Date.parse(text) - now;
  return Number.isFinite(asked) ? Math.min(Math.max(asked, 0), longestRetryAfterMs) : 0;
}
