import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { PlatformError } from "#platform/errors.ts";

/** The part of the promised time that an order may wait for its episode; the rest is for what is done in it. */
const waitShare = 0.5;
const retryAfterMs = 1_000;

/** Refuses new orders while those that are there wait for too long. */
export class Admission {
  readonly #longestMs: number;
  #waitedMs = 0;

  /** @param confirmWithinMs how long an order may take to its confirmation, in milliseconds */
  constructor(confirmWithinMs: number) {
    this.#longestMs = confirmWithinMs * waitShare;
  }

  /** The new order that waits for the longest time has waited so long, in milliseconds; 0 when none waits. */
  observed(waitedMs: number): void {
    this.#waitedMs = waitedMs;
  }

  /** @throws OVERLOADED */
  admit(): void {
    if (this.#waitedMs <= this.#longestMs) return;
    const metadata = { queue: "orders to be carried" };
    const message = "more orders wait than can be confirmed in time";
    throw new PlatformError(PlatformErrorReason.OVERLOADED, message, metadata, { retryAfterMs });
  }
}
