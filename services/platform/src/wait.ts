import { addAbortListener } from "node:events";
import { setTimeout as pause } from "node:timers/promises";

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
 * The result of `work`; undefined when it is not there after `ms` milliseconds, nor when `ms` is not above 0. What work
 * fails with afterwards is heard by nobody.
 */
export async function orLate<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  if (ms <= 0) {
    work.catch(() => undefined);
    return undefined;
  }
  const timer = new AbortController();
  const late = pause(ms, undefined, { signal: timer.signal, ref: false }).catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}

/** Resolves when the signal fires; at once when it has. */
export async function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  using _listening = addAbortListener(signal, () => resolve());
  await promise;
}
