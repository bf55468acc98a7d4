import type { Interceptor, StreamResponse } from "@connectrpc/connect";

/** A call as interceptors pass it on: unary or streaming. */
export type Call = ReturnType<Interceptor>;
/** What an interceptor is given. */
export type CallRequest = Parameters<Call>[0];
/** What an interceptor gives back. */
export type CallResponse = Awaited<ReturnType<Call>>;

/** Wraps a call in interceptors; the first of the list is the outermost, as in Connect. */
export function compose(interceptors: readonly Interceptor[], innermost: Call): Call {
  return interceptors.reduceRight((next, interceptor) => interceptor(next), innermost);
}

/** How to follow the messages of a streaming answer. */
export interface StreamHooks {
  /** Makes the step to the next message; calls `step` exactly once. */
  around?: <T>(step: () => Promise<T>) => Promise<T>;
  /** Turns an error of the stream into another one. */
  mapError?: (error: unknown) => unknown;
  /** The stream is over: well, with an error, or because nobody reads on. Called once. */
  onEnd?: (error: unknown) => void;
}

class HookedIterator<T> implements AsyncIterator<T> {
  readonly #inner: AsyncIterator<T>;
  readonly #hooks: StreamHooks;
  #ended = false;

  constructor(inner: AsyncIterator<T>, hooks: StreamHooks) {
    this.#inner = inner;
    this.#hooks = hooks;
  }

  async next(): Promise<IteratorResult<T>> {
    try {
      const step = () => this.#inner.next();
      const result = await (this.#hooks.around ? this.#hooks.around(step) : step());
      if (result.done) this.#end(undefined);
      return result;
    } catch (error) {
      const mapped = this.#hooks.mapError ? this.#hooks.mapError(error) : error;
      this.#end(mapped);
      throw mapped;
    }
  }

  async return(): Promise<IteratorResult<T>> {
    this.#end(undefined);
    const step = async () => this.#inner.return?.();
    await (this.#hooks.around ? this.#hooks.around(step) : step());
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<T>> {
    this.#end(error);
    const step = async () => this.#inner.throw?.(error);
    await (this.#hooks.around ? this.#hooks.around(step) : step());
    throw error;
  }

  #end(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#hooks.onEnd?.(error);
  }
}

/** Follows the messages of a streaming answer. */
export function followStream(response: StreamResponse, hooks: StreamHooks): StreamResponse {
  const { stream, service, method, header, trailer, message } = response;
  const hooked = { [Symbol.asyncIterator]: () => new HookedIterator(message[Symbol.asyncIterator](), hooks) };
  return { stream, service, method, header, trailer, message: hooked };
}
