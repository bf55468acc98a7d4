import { ConnectError } from "@connectrpc/connect";
import { BreakerOpenError, isAway, NoAnswerError } from "#platform/grpc/breaker.ts";

/**
 * Sends entries in one call of somebody else, and gives each its own answer, in their order, or why there is none. One over which the other side stumbles must not
 * leave the others without an answer: then they go apart, in halves.
 *
 * @param send makes the call; one answer for each entry, in their order
 * @param wereSent whether an error came of these entries before
 * @returns of an entry that was certainly not sent {@link BreakerOpenError}; a ConnectError leaves open what became of it
 */
export async function sendTogether<I, O>(
  entries: readonly I[],
  send: (entries: readonly I[]) => Promise<readonly O[]>,
  wereSent = false,
): Promise<(O | ConnectError | BreakerOpenError)[]> {
  try {
    return [...answersToAll(entries, await send(entries))];
  } catch (cause) {
    const isOpen = cause instanceof BreakerOpenError;
    if (isOpen && !wereSent) return entries.map(() => cause);
    const middle = entries.length >> 1;
    if (isOpen || middle === 0 || isAway(cause)) return entries.map(() => ConnectError.from(cause));
    const halves = [entries.slice(0, middle), entries.slice(middle)];
    return (await Promise.all(halves.map((half) => sendTogether(half, send, true)))).flat();
  }
}

/** @throws NoAnswerError when there is another number of answers: nobody knows which are whose */
export function answersToAll<O>(entries: readonly unknown[], answers: O[]): O[];
export function answersToAll<O>(entries: readonly unknown[], answers: readonly O[]): readonly O[];
export function answersToAll<O>(entries: readonly unknown[], answers: readonly O[]): readonly O[] {
  if (answers.length === entries.length) return answers;
  throw new NoAnswerError(`${answers.length} of ${entries.length} entries were answered`);
}
