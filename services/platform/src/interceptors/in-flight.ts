import type { Interceptor } from "@connectrpc/connect";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { PlatformError } from "#platform/errors.ts";
import { followStream } from "./compose.ts";

/** When a caller that was refused for overload should come back, in milliseconds. */
const RETRY_MS = 100;

/** Counts the calls that run, on both faces together, and refuses more than the process takes. */
export class InFlight {
  readonly #limit: number;
  #count = 0;
  #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many calls run now. */
  get count(): number {
    return this.#count;
  }

  /** Resolves when no call runs. */
  async idle(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Counts the calls that pass through it. */
  interceptor(): Interceptor {
    return (next) => async (request) => {
      this.#enter();
      let streaming = false;
      try {
        const response = await next(request);
        if (!response.stream) return response;
        streaming = true;
        return followStream(response, { onEnd: () => this.#leave() });
      } finally {
        if (!streaming) this.#leave();
      }
    };
  }

  #enter(): void {
    if (this.#count >= this.#limit) {
      const options = { retryAfterMs: RETRY_MS };
      const message = "the service has as many calls as it takes";
      throw new PlatformError(PlatformErrorReason.OVERLOADED, message, { queue: "calls" }, options);
    }
    this.#count += 1;
  }

  #leave(): void {
    this.#count -= 1;
    if (this.#count > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
