import { setTimeout as pause } from "node:timers/promises";

/** How long is looked, and how often, in milliseconds. */
export interface UntilOptions {
  /** Default 10,000. */
  readonly deadlineMs?: number;
  /** Default 5. */
  readonly everyMs?: number;
}

/**
 * Looks until there is something: a value that is neither undefined nor false. What a look throws means: not yet.
 *
 * @param what is waited for, as the error says it
 * @throws Error when it is not there by the deadline; its cause is what the last look threw
 */
export async function until<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  what: string,
  { deadlineMs = 10_000, everyMs = 5 }: UntilOptions = {},
): Promise<T> {
  const end = Date.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause });
    await pause(everyMs);
  }
}
