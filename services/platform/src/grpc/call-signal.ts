import { Code, ConnectError } from "@connectrpc/connect";

/** What grpc-js tells about the end of a call. It reports a deadline as a cancellation. */
export interface Cancellable {
  readonly cancelled: boolean;
  once(event: "cancelled", listener: () => void): unknown;
}

/** Timers may fire a little before the clock says so, in milliseconds. */
const timerSlackMs = 5;

/** One for all: most calls end well, and nobody asks. */
export const callEnded = new ConnectError("the call has ended", Code.Canceled);

/** Why a caller no longer waits. */
export function goneReason(deadline: number | undefined): ConnectError {
  if (deadline !== undefined && Date.now() >= deadline - timerSlackMs) {
    return new ConnectError("the deadline passed", Code.DeadlineExceeded);
  }
  return new ConnectError("the caller cancelled the call", Code.Canceled);
}

/** The signal of one call: fires when the caller cancels, the deadline passes, or the call ends. */
export class CallSignal {
  readonly #controller = new AbortController();

  constructor(call: Cancellable, deadline: number | undefined, ended = false) {
    const onCancelled = (): void => {
      // It is told of each call that ends.
      if (!this.signal.aborted) this.abort(goneReason(deadline));
    };
    if (ended) this.end();
    else if (call.cancelled) onCancelled();
    else call.once("cancelled", onCancelled);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the call's work for the given reason. The first reason counts. */
  abort(reason: ConnectError): void {
    this.#controller.abort(reason);
  }

  /** The call has ended. */
  end(): void {
    this.abort(callEnded);
  }
}
