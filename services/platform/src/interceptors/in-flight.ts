import type { Interceptor } from "@connectrpc/connect";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { PlatformError } from "#platform/errors.ts";
import { type Call, type CallRequest, type CallResponse, followStream } from "./compose.ts";

/** When a caller that was refused for overload should come back, in milliseconds. */
const retryMs = 100;

/**
 * Counts the calls that run, on both faces together, and refuses more than the process takes. Streams are counted apart:
 * those who follow changes stay for hours, and must not take the place of calls.
 */
export class InFlight {
  readonly #limit: number;
  #calls = 0;
  #streams = 0;
  #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many calls run now. */
  get count(): number {
    return this.#calls + this.#streams;
  }

  /** Resolves when no call runs. */
  async idle(): Promise<void> {
    if (this.count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Counts the calls that pass through it. */
  interceptor(): Interceptor {
    return (next) => (request) => (request.stream ? this.#stream(next, request) : this.#call(next, request));
  }

  async #call(next: Call, request: CallRequest): Promise<CallResponse> {
    this.#admit(this.#calls);
    this.#calls += 1;
    try {
      return await next(request);
    } finally {
      this.#calls -= 1;
      this.#ended();
    }
  }

  async #stream(next: Call, request: CallRequest): Promise<CallResponse> {
    this.#admit(this.#streams);
    this.#streams += 1;
    const onEnd = (): void => {
      this.#streams -= 1;
      this.#ended();
    };
    try {
      const response = await next(request);
      if (!response.stream) throw new Error("an interceptor answered a stream with a single message");
      return followStream(response, { onEnd });
    } catch (error) {
      onEnd();
      throw error;
    }
  }

  #admit(running: number): void {
    if (running < this.#limit) return;
    const options = { retryAfterMs: retryMs };
    const message = "the service has as many calls as it takes";
    throw new PlatformError(PlatformErrorReason.OVERLOADED, message, { queue: "calls" }, options);
  }

  #ended(): void {
    if (this.count > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
