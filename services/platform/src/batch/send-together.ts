import { Code, ConnectError } from "@connectrpc/connect";

/** What does not tell about any one of the entries in a call: to send them apart would not help. */
const ofAll: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.ResourceExhausted,
  Code.Unimplemented,
  Code.Unauthenticated,
  Code.PermissionDenied,
]);

/**
 * Sends entries in one call of somebody else, and gives each its own answer, in their order, or why there is none. One over which the other side stumbles must not
 * leave the others without an answer: then they go apart, in halves.
 *
 * @param send makes the call; one answer for each entry, in their order
 */
export async function sendTogether<I, O>(
  entries: readonly I[],
  send: (entries: readonly I[]) => Promise<readonly O[]>,
): Promise<(O | ConnectError)[]> {
  try {
    const answers = await send(entries);
    if (answers.length === entries.length) return [...answers];
    const error = new ConnectError(`${answers.length} of ${entries.length} entries were answered`, Code.DataLoss);
    return entries.map(() => error);
  } catch (cause) {
    const error = ConnectError.from(cause);
    const middle = entries.length >> 1;
    if (middle === 0 || ofAll.has(error.code)) return entries.map(() => error);
    const halves = [entries.slice(0, middle), entries.slice(middle)];
    return (await Promise.all(halves.map((half) => sendTogether(half, send)))).flat();
  }
}
