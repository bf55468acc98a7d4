import { AsyncLocalStorage } from "node:async_hooks";

/** What is known about the call that the running code serves. */
export interface RequestContext {
  /** The caller's `x-request-id`, or one made here. Goes on to every callee and into every log line. */
  readonly requestId?: string | undefined;
  /** The trace that the call belongs to, as 32 hexadecimal digits. */
  readonly traceId?: string | undefined;
  /** W3C `traceparent`: of the running span, or the caller's as it is when this process makes no spans. */
  readonly traceParent?: string | undefined;
  /** Who caused the call, from the baggage entry `user.id`. */
  readonly userId?: string | undefined;
  /** When the caller stops waiting, in milliseconds since 1970. */
  readonly deadline?: number | undefined;
  /** Fires when the caller cancels or the deadline passes; not when the call ends well. */
  readonly signal?: AbortSignal | undefined;
}

const storage = new AsyncLocalStorage<RequestContext>();
const none: RequestContext = Object.freeze({});

/** The context of the running call; an empty one outside of a call. */
export function requestContext(): RequestContext {
  return storage.getStore() ?? none;
}

/** Time left of the running call in milliseconds, not below 0; Infinity when there is no deadline. */
export function remainingMs(): number {
  const deadline = storage.getStore()?.deadline;
  return deadline === undefined ? Number.POSITIVE_INFINITY : Math.max(0, deadline - Date.now());
}

/** Runs `fn` in the given context, instead of the present one. */
export function runInContext<T>(context: RequestContext, fn: () => T): T {
  return storage.run(context, fn);
}

/** Runs `fn` in the present context with some values replaced. */
export function withContext<T>(patch: Partial<RequestContext>, fn: () => T): T {
  const { requestId, traceId, traceParent, userId, deadline, signal } = requestContext();
  return storage.run({ requestId, traceId, traceParent, userId, deadline, signal, ...patch }, fn);
}

/**
 * Runs `fn` without the deadline and the cancellation of the present call, but with its ids: for work that goes on
 * after the call is answered.
 */
export function detached<T>(fn: () => T): T {
  return withContext({ deadline: undefined, signal: undefined }, fn);
}
