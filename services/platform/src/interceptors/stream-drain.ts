import { addAbortListener } from "node:events";
import type { ConnectError, Interceptor } from "@connectrpc/connect";
import { orAbort } from "#platform/wait.ts";
import { followStream } from "./compose.ts";

/** Ends the streams that run when the process stops: those that follow changes would never end by themselves. */
export class StreamDrain {
  readonly #open = new Set<AbortController>();

  /** Ends every stream with the given reason. */
  end(reason: ConnectError): void {
    for (const controller of this.#open) controller.abort(reason);
  }

  /** Knows every stream that passes through it. */
  interceptor(): Interceptor {
    return (next) => async (request) => {
      if (!request.stream) return next(request);
      const controller = new AbortController();
      const { signal } = controller;
      const listening = addAbortListener(request.signal, () => controller.abort(request.signal.reason));
      this.#open.add(controller);
      const onEnd = (): void => {
        this.#open.delete(controller);
        listening[Symbol.dispose]();
      };
      try {
        const response = await next({ ...request, signal });
        if (!response.stream) throw new Error("an interceptor answered a stream with a single message");
        return followStream(response, { around: (step) => orAbort(step, signal), onEnd });
      } catch (error) {
        onEnd();
        throw error;
      }
    };
  }
}
