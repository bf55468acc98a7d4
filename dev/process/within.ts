import { setTimeout as pause } from "node:timers/promises";

/**
 * Looks again and again until there is something: a value that is neither undefined nor false. What a look throws is
 * thrown.
 *
 * @param deadlineMs how long is looked, in milliseconds; the first look is always taken
 * @param everyMs the pause between two looks; default 50
 * @returns what there is; undefined when the time is over, and who waited knows what to say then
 */
export async function within<T>(
  deadlineMs: number,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  everyMs = 50,
): Promise<T | undefined> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) return undefined;
    await pause(everyMs);
  }
}
