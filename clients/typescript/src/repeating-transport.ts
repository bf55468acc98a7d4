import { setTimeout as pause } from "node:timers/promises";
import {
  clone,
  create,
  type DescMessage,
  type DescMethodStreaming,
  type DescMethodUnary,
  isMessage,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  ConnectError,
  type ContextValues,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import { giveIds, isRepeatable } from "./request-ids.ts";
import type { Retry } from "./retry.ts";
import { type Timeouts, timeoutOf } from "./timeouts.ts";

/** Headers in any form that `Headers` is made of. */
export type HeaderValues = NonNullable<ConstructorParameters<typeof Headers>[0]>;

/** Headers that go with each attempt, for example `{ authorization: … }`. */
export type HeaderSource = () => HeaderValues | Promise<HeaderValues>;

/** How calls are made. */
export interface RepeatingOptions {
  readonly retry: Retry;
  readonly timeouts: Partial<Timeouts> | undefined;
  readonly headers: HeaderSource | undefined;
  /** Fires when nothing is to be called any more. */
  readonly closed: AbortSignal;
}

/** Makes calls over other transports: with request ids, in time, and again while they fail for a passing reason. */
export class RepeatingTransport implements Transport {
  readonly #places: readonly Transport[];
  readonly #options: RepeatingOptions;
  #calls = 0;

  /** @param places where the same is answered: each attempt goes to the next */
  constructor(places: readonly Transport[], options: RepeatingOptions) {
    this.#places = places;
    this.#options = options;
  }

  get #next(): Transport {
    this.#options.closed.throwIfAborted();
    const place = this.#places[this.#calls % this.#places.length];
    if (!place) throw new RangeError("there is no address to call");
    this.#calls += 1;
    return place;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeaderValues | undefined,
    input: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>> {
    const { retry, timeouts } = this.#options;
    // What the caller gave stays as it is.
    const message = isMessage(input, method.input) ? clone(method.input, input) : create(method.input, input);
    giveIds(method.input, message);
    const { totalMs, attemptMs } = timeoutOf(method, message, timeouts);
    const end = performance.now() + (timeoutMs ?? totalMs);
    for (let attempt = 1; ; attempt += 1) {
      const inTimeMs = Math.max(1, Math.ceil(Math.min(attemptMs, end - performance.now())));
      try {
        const headers = await this.#headers(header);
        const sent = message as MessageInitShape<I>;
        const response = await this.#next.unary(method, signal, inTimeMs, headers, sent, contextValues);
        retry.succeeded();
        return response;
      } catch (error) {
        const leftMs = end - performance.now();
        const pauseMs =
          isRepeatable(method) && !signal?.aborted ? retry.pauseMs(error, { attempt, leftMs }) : undefined;
        if (pauseMs === undefined) throw error;
        await pause(pauseMs, undefined, signal && { signal }).catch(cancelled);
      }
    }
  }

  /** A stream is not repeated: what it had sent already is known to its reader only. See `followOrder`. */
  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeaderValues | undefined,
    input: AsyncIterable<MessageInitShape<I>>,
    contextValues?: ContextValues,
  ): Promise<StreamResponse<I, O>> {
    return this.#next.stream(
      method,
      signal,
      timeoutMs,
      await this.#headers(header),
      withIds(method, input),
      contextValues,
    );
  }

  async #headers(own: HeaderValues | undefined): Promise<Headers> {
    const headers = new Headers(await this.#options.headers?.());
    for (const [name, value] of new Headers(own)) headers.set(name, value);
    return headers;
  }
}

function cancelled(reason: unknown): never {
  throw ConnectError.from(reason);
}

async function* withIds<I extends DescMessage>(
  { input: schema }: DescMethodStreaming<I>,
  inputs: AsyncIterable<MessageInitShape<I>>,
): AsyncGenerator<MessageInitShape<I>> {
  for await (const input of inputs) {
    const message = create(schema, input);
    giveIds(schema, message);
    yield message as MessageInitShape<I>;
  }
}
