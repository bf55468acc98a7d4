import { randomUUID } from "node:crypto";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { boundedBaggage, userIdOf } from "#platform/baggage.ts";
import { type RequestContext, runInContext } from "#platform/context.ts";
import { connectTimeoutMs, grpcTimeoutMs } from "#platform/incoming-headers.ts";
import { activeTraceParent, notKeptTraceParent } from "#platform/trace/spans.ts";
import { isTraceParent, traceIdOf } from "#platform/trace-parent.ts";
import { type CallRequest, type CallResponse, followStream } from "./compose.ts";
import { isKnown, peekHeader } from "./known-call.ts";

/** The header that names one request through all services. */
export const requestIdHeader = "x-request-id";

/** A caller's id is shown in logs, so it is limited to what an id looks like. */
const wellFormedId = /^[\w.:@/-]{1,128}$/;

/** The context of a call; what it says is read from the request when it is asked for. */
class CallContext implements RequestContext {
  readonly deadline: number | undefined;
  readonly #request: CallRequest;
  #requestId: string | undefined;
  /** Of a trace that begins here and is not kept: callees must not decide otherwise. */
  #notKept: string | undefined;

  constructor(request: CallRequest, deadline: number | undefined) {
    this.#request = request;
    this.deadline = deadline;
  }

  get requestId(): string {
    if (this.#requestId) return this.#requestId;
    const given = peekHeader(this.#request, requestIdHeader);
    this.#requestId = given && wellFormedId.test(given) ? given : randomUUID();
    return this.#requestId;
  }

  get traceParent(): string | undefined {
    const running = activeTraceParent();
    if (running) return running;
    const given = peekHeader(this.#request, "traceparent");
    if (given && isTraceParent(given)) return given;
    this.#notKept ??= notKeptTraceParent();
    return this.#notKept;
  }

  get traceId(): string | undefined {
    return traceIdOf(this.traceParent) || undefined;
  }

  get userId(): string | undefined {
    return userIdOf(peekHeader(this.#request, "baggage"));
  }

  get baggage(): string | undefined {
    return boundedBaggage(peekHeader(this.#request, "baggage"));
  }

  get actor(): string {
    return this.userId || serviceOf(peekHeader(this.#request, "user-agent")) || "anonymous";
  }

  get signal(): AbortSignal {
    return this.#request.signal;
  }
}

/** The process of ours that calls, by what its client says of itself. */
function serviceOf(userAgent: string | undefined): string | undefined {
  const name = userAgent?.match(/(?:^|\s)ordermesh-([a-z][a-z\d-]{0,30})\//)?.[1];
  return name && `service:${name}`;
}

/** The time a caller on the HTTP face gives, in milliseconds. */
function timeoutOf({ header }: CallRequest): number | undefined {
  return connectTimeoutMs(header.get("connect-timeout-ms")) ?? grpcTimeoutMs(header.get("grpc-timeout"));
}

/**
 * The HTTP face has neither a deadline that interceptors can see nor one for callers that say none; both are made here.
 * The returned function ends the call's timer.
 */
function withDeadline(
  request: CallRequest,
  defaultMs: number,
): { request: CallRequest; deadline?: number; end(): void } {
  const timeout = timeoutOf(request) ?? (request.stream ? undefined : defaultMs);
  if (timeout === undefined) return { request, end: () => undefined };
  const controller = new AbortController();
  const expire = (): void => controller.abort(new ConnectError("the deadline passed", Code.DeadlineExceeded));
  const timer = setTimeout(expire, timeout);
  const signal = AbortSignal.any([request.signal, controller.signal]);
  return { request: { ...request, signal }, deadline: Date.now() + timeout, end: () => clearTimeout(timer) };
}

/** Runs a call, with all that its stream does later, in its context. */
async function runCall(
  context: RequestContext,
  call: () => Promise<CallResponse>,
  onEnd: () => void,
): Promise<CallResponse> {
  try {
    const response = await runInContext(context, call);
    if (response.stream) return followStream(response, { around: (step) => runInContext(context, step), onEnd });
    onEnd();
    return response;
  } catch (error) {
    onEnd();
    throw error;
  }
}

/**
 * Makes the context of each call, so that `requestContext()` knows it.
 *
 * @param defaultTimeoutMs how long a unary call on the HTTP face may take whose caller has not said
 */
export function contextInterceptor(defaultTimeoutMs: number): Interceptor {
  return (next) => (request) => {
    if (isKnown(request) && !request.stream) {
      return runInContext(new CallContext(request, request.deadline), () => next(request));
    }
    if (isKnown(request)) {
      return runCall(
        new CallContext(request, request.deadline),
        () => next(request),
        () => undefined,
      );
    }
    const bounded = withDeadline(request, defaultTimeoutMs);
    const context = new CallContext(bounded.request, bounded.deadline);
    return runCall(context, () => next(bounded.request), bounded.end);
  };
}
