import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { orAbort } from "#platform/wait.ts";
import { type CallResponse, followStream } from "./compose.ts";
import { isKnown } from "./known-call.ts";

async function boundedCall(work: () => Promise<CallResponse>, signal: AbortSignal): Promise<CallResponse> {
  const response = await orAbort(work, signal);
  return response.stream ? followStream(response, { around: (step) => orAbort(step, signal) }) : response;
}

/**
 * Refuses a call whose deadline has passed before it begins, and ends one at its deadline even when the implementation
 * does not look at the signal. On the gRPC face the latter is done by grpc-js.
 */
export function deadlineInterceptor(): Interceptor {
  return (next) => (request) => {
    if (!isKnown(request)) return boundedCall(() => next(request), request.signal);
    if (request.deadline !== undefined && Date.now() >= request.deadline) {
      return Promise.reject(new ConnectError("the deadline passed before the call began", Code.DeadlineExceeded));
    }
    return next(request);
  };
}
