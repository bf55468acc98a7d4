import { AsyncLocalStorage } from "node:async_hooks";
import type { Caller } from "./caller.ts";

/** What work is about, as log lines and spans name it. */
export type Subject = Readonly<Record<string, string>>;

/** Where a call waits for something to happen, without the working place that it holds otherwise; see `resting.ts`. */
export interface RestingPlace extends Disposable {
  /** Leaves the working place while `wait` runs. Coming back is never refused. */
  rest<T>(wait: () => Promise<T>): Promise<T>;
}

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
  /** What goes along to callees in the W3C header `baggage`, as far as it is reasonably short. */
  readonly baggage?: string | undefined;
  /** Who calls, as its credential has proved; undefined where none is asked for. */
  readonly caller?: Caller | undefined;
  /** The only one whose rows the call may see or make: a customer who calls for itself. Undefined for those who may see all. */
  readonly owner?: string | undefined;
  /** Whom the actor acts for, as a token beside its certificate has proved; undefined where it acts for itself. */
  readonly onBehalfOf?: string | undefined;
  /** Who is answerable for what the call does: where callers are asked, whoever has proved to make it, or `anonymous`; else the user id, else `service:<name>` of the calling process, else `anonymous`. */
  readonly actor?: string | undefined;
  /** What is worked for: fields of every log line, for example `{ "order.id": id }`. An empty one is left out. */
  readonly subject?: Subject | undefined;
  /** When the caller stops waiting, in milliseconds since 1970. */
  readonly deadline?: number | undefined;
  /** Fires when the caller cancels or the deadline passes; not when the call ends well. */
  readonly signal?: AbortSignal | undefined;
  /** Entries of the request that break rules, by their index, when each is judged for itself; see `interceptors/entries.ts`. */
  readonly refusedEntries?: ReadonlyMap<number, Error> | undefined;
  /** Takes a place for the call to wait in. @throws OVERLOADED when there is none */
  readonly takeRestingPlace?: (() => RestingPlace) | undefined;
}

const storage = new AsyncLocalStorage<RequestContext>();
const none: RequestContext = Object.freeze({});

/** A context with some values replaced. The others are read when they are asked for: some cost something to make. */
class Patched implements RequestContext {
  readonly #base: RequestContext;
  readonly #patch: RequestContext;

  constructor(base: RequestContext, patch: RequestContext) {
    this.#base = base;
    this.#patch = patch;
  }

  get requestId() {
    return ("requestId" in this.#patch ? this.#patch : this.#base).requestId;
  }

  get traceId() {
    return ("traceId" in this.#patch ? this.#patch : this.#base).traceId;
  }

  get traceParent() {
    return ("traceParent" in this.#patch ? this.#patch : this.#base).traceParent;
  }

  get userId() {
    return ("userId" in this.#patch ? this.#patch : this.#base).userId;
  }

  get baggage() {
    return ("baggage" in this.#patch ? this.#patch : this.#base).baggage;
  }

  get actor() {
    return ("actor" in this.#patch ? this.#patch : this.#base).actor;
  }

  get caller() {
    return ("caller" in this.#patch ? this.#patch : this.#base).caller;
  }

  get owner() {
    return ("owner" in this.#patch ? this.#patch : this.#base).owner;
  }

  get onBehalfOf() {
    return ("onBehalfOf" in this.#patch ? this.#patch : this.#base).onBehalfOf;
  }

  get subject() {
    return ("subject" in this.#patch ? this.#patch : this.#base).subject;
  }

  get deadline() {
    return ("deadline" in this.#patch ? this.#patch : this.#base).deadline;
  }

  get signal() {
    return ("signal" in this.#patch ? this.#patch : this.#base).signal;
  }

  get refusedEntries() {
    return ("refusedEntries" in this.#patch ? this.#patch : this.#base).refusedEntries;
  }

  get takeRestingPlace() {
    return ("takeRestingPlace" in this.#patch ? this.#patch : this.#base).takeRestingPlace;
  }
}

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
export function withContext<T>(patch: RequestContext, fn: () => T): T {
  return storage.run(new Patched(requestContext(), patch), fn);
}

/** Runs `fn` in the present context, with what it is about added to what was known already. */
export function withSubject<T>(subject: Subject, fn: () => T): T {
  return withContext({ subject: { ...requestContext().subject, ...subject } }, fn);
}

/**
 * Runs `fn` without the deadline and the cancellation of the present call, but with its ids: for work that goes on
 * after the call is answered.
 */
export function detached<T>(fn: () => T): T {
  return withContext({ deadline: undefined, signal: undefined, takeRestingPlace: undefined }, fn);
}
