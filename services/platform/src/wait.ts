import { addAbortListener } from "node:events";

/**
 * The result of `work`, or the reason of the signal, whichever comes first. Work that does not end when it is told to is
 * left behind: what it says afterwards is heard by nobody.
 *
 * @param work is not begun when the signal has fired already
 */
export async function orAbort<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  using _listening = addAbortListener(signal, () => aborted.reject(signal.reason));
  return await Promise.race([work(signal), aborted.promise]);
}

/**
 * The result of `work`; undefined when it is not there after `ms` milliseconds or when the signal fires, nor when `ms` is not
 * above 0. What work fails with afterwards is heard by nobody.
 */
export async function orLate<T>(work: Promise<T>, ms: number, enough?: AbortSignal): Promise<T | undefined> {
  if (ms <= 0 || enough?.aborted) {
    work.catch(() => undefined);
    return undefined;
  }
  const late = Promise.withResolvers<undefined>();
  // Not the timer of node:timers/promises: ending it makes an error each time, which costs ten times as much.
  const timer = setTimeout(() => late.resolve(undefined), ms).unref();
  using _listening = enough && addAbortListener(enough, () => late.resolve(undefined));
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when the signal fires; at once when it has. */
export async function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  using _listening = addAbortListener(signal, () => resolve());
  await promise;
}
