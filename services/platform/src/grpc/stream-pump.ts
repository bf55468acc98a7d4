import { once } from "node:events";
import type { Message } from "@bufbuild/protobuf";

/** Messages that cannot be written fast enough are not asked for: this is what `stream.Writable` has for it. */
interface Sink {
  write(message: Message): boolean;
  once(event: "drain", listener: () => void): unknown;
}

/** The next result of an iterator, or the reason of the signal, whichever comes first. */
function nextOrAbort<T>(iterator: AsyncIterator<T>, signal: AbortSignal): Promise<IteratorResult<T>> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    iterator
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** Hands on every message until the iterable ends. Stops at once, with the signal's reason, when the signal fires. */
export async function forEachMessage<T>(
  messages: AsyncIterable<T>,
  signal: AbortSignal,
  take: (message: T) => Promise<void> | void,
): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const result = await nextOrAbort(iterator, signal);
      ended = result.done === true;
      if (result.done) return;
      await take(result.value);
    }
  } finally {
    // The call is over, and what the iterable still has to say to its end concerns nobody.
    if (!ended) iterator.return?.().catch(() => undefined);
  }
}

/** What is sent to a receiver is not read. */
export class UnreadError extends Error {
  override readonly name = "UnreadError";
}

/**
 * Writes a message and waits while the receiver is slow.
 *
 * @throws UnreadError when it reads nothing for so many milliseconds, where they are bounded, and the signal's reason
 */
export async function writeMessage(
  sink: NodeJS.EventEmitter & Sink,
  message: Message,
  { signal, unreadMs }: { signal: AbortSignal; unreadMs?: number },
): Promise<void> {
  if (sink.write(message)) return;
  const late = new AbortController();
  const timer = unreadMs === undefined ? undefined : setTimeout(() => late.abort(), unreadMs);
  try {
    await once(sink, "drain", { signal: AbortSignal.any([signal, late.signal]) });
  } catch (error) {
    throw late.signal.aborted && !signal.aborted ? new UnreadError(`nothing was read for ${unreadMs} ms`) : error;
  } finally {
    clearTimeout(timer);
  }
}

/** An iterable of one message. */
export async function* single<T>(message: T): AsyncGenerator<T, void> {
  yield message;
}

/** The only message of an iterable; undefined when there is none. */
export async function only<T>(messages: AsyncIterable<T>): Promise<T | undefined> {
  let last: T | undefined;
  for await (const message of messages) last = message;
  return last;
}
