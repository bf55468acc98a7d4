import type { DescMethodUnary, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, createHandlerContext, type UnaryRequest, type UnaryResponse } from "@connectrpc/connect";
import type { handleUnaryCall, ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { toConnectError } from "#platform/errors.ts";
import type { Call, CallResponse } from "#platform/interceptors/compose.ts";
import type { AnyMethod } from "#platform/registration.ts";
import type { PeerOf } from "./certified-peers.ts";
import { complete, pathOf, UnreadableRequest } from "./codec.ts";
import { hasHeaders, toMetadata } from "./metadata.ts";
import { toGrpcStatus } from "./status.ts";
import { UnaryCall, UnaryResult } from "./unary-call.ts";

/** Calls the implementation: the innermost layer of the interceptors. */
export function unaryInvocation(method: DescMethodUnary, implementation: AnyMethod): Call {
  return async (request) => {
    if (request.stream) throw new Error("an interceptor made a stream of a single message");
    if (!(request instanceof UnaryCall)) return invokeReplaced(method, implementation, request);
    const output = await implementation(request.message as Parameters<AnyMethod>[0], request);
    request.throwIfGone();
    return new UnaryResult(request, complete(method.output, output));
  };
}

/** An interceptor has put another request in the place of ours, so the call's own objects cannot be used. */
async function invokeReplaced(
  method: DescMethodUnary,
  implementation: AnyMethod,
  request: UnaryRequest,
): Promise<UnaryResponse> {
  const { service, requestMethod, url, signal, header, contextValues } = request;
  const init = { service, method, requestMethod, url, protocolName: "grpc", contextValues };
  const context = createHandlerContext({ ...init, requestSignal: signal, requestHeader: header });
  const output = await implementation(request.message as Parameters<AnyMethod>[0], context);
  const message = complete(method.output, output);
  return { stream: false, service, method, message, header: context.responseHeader, trailer: context.responseTrailer };
}

function answer(
  unary: UnaryCall,
  response: UnaryResponse,
  call: ServerUnaryCall<Message, Message>,
): Headers | undefined {
  const own = response instanceof UnaryResult;
  const header = own ? unary.sentHeader : response.header;
  if (header && hasHeaders(header)) call.sendMetadata(toMetadata(header));
  return own ? unary.sentTrailer : response.trailer;
}

function refuse(unary: UnaryCall, error: unknown, call: ServerUnaryCall<Message, Message>) {
  if (unary.sentHeader && hasHeaders(unary.sentHeader)) call.sendMetadata(toMetadata(unary.sentHeader));
  return toGrpcStatus(toConnectError(error), unary.sentTrailer);
}

/** A caller that says no deadline gets the default one; grpc-js itself ends a call whose caller did. */
function deadlineOf(call: ServerUnaryCall<Message, Message>, defaultTimeoutMs: number): number {
  const deadline = call.getDeadline();
  return typeof deadline === "number" && deadline !== Number.POSITIVE_INFINITY
    ? deadline
    : Date.now() + defaultTimeoutMs;
}

function endAtDeadline(unary: UnaryCall, callback: sendUnaryData<Message>): NodeJS.Timeout {
  return setTimeout(() => {
    unary.expire();
    callback(toGrpcStatus(new ConnectError("the deadline passed", Code.DeadlineExceeded)));
  }, unary.timeoutMs());
}

/** Serves a unary method on grpc-js. */
export function unaryHandler(
  method: DescMethodUnary,
  run: Call,
  { defaultTimeoutMs, peerOf }: { defaultTimeoutMs: number; peerOf: PeerOf },
): handleUnaryCall<Message | UnreadableRequest, Message> {
  const url = pathOf(method);
  return (received, callback) => {
    if (received.request instanceof UnreadableRequest) return callback(toGrpcStatus(received.request.error));
    const call = received as ServerUnaryCall<Message, Message>;
    const unary = new UnaryCall(method, url, { call, deadline: deadlineOf(call, defaultTimeoutMs), peerOf });
    const timer = call.getDeadline() === Number.POSITIVE_INFINITY ? endAtDeadline(unary, callback) : undefined;
    const fail = (error: unknown): void => {
      callback(refuse(unary, error, call));
      unary.end();
    };
    const succeed = (response: CallResponse): void => {
      clearTimeout(timer);
      try {
        if (response.stream) throw new Error("an interceptor answered a single message with a stream");
        const trailer = answer(unary, response, call);
        callback(null, response.message, trailer && toMetadata(trailer));
        unary.end();
      } catch (error) {
        fail(error);
      }
    };
    run(unary).then(succeed, (error: unknown) => {
      clearTimeout(timer);
      fail(error);
    });
  };
}
