import type { DescMethodStreaming, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, createHandlerContext, type HandlerContext, type StreamRequest } from "@connectrpc/connect";
import type { Metadata } from "@grpc/grpc-js";
import type { Call, CallRequest } from "#platform/interceptors/compose.ts";
import type { KnownCall } from "#platform/interceptors/known-call.ts";
import type { AnyMethod } from "#platform/registration.ts";
import { CallSignal, type Cancellable } from "./call-signal.ts";
import type { CallOfPeer, PeerOf } from "./certified-peers.ts";
import { complete, pathOf } from "./codec.ts";
import { toHeaders } from "./metadata.ts";
import { addressOfPeer } from "./peer.ts";
import { only, single } from "./stream-pump.ts";

/** What the stream calls of grpc-js have in common. */
export interface StreamingCall extends Cancellable, CallOfPeer {
  readonly metadata: Metadata;
  getDeadline(): Date | number;
}

type Input = Parameters<AnyMethod>[0];

/** One streaming call on the gRPC face. Streams are few and long, so everything is made at once. */
export class StreamCall {
  readonly request: StreamRequest & KnownCall;
  readonly context: HandlerContext;
  readonly #signal: CallSignal;

  constructor(
    method: DescMethodStreaming,
    call: StreamingCall,
    start: { message: AsyncIterable<Message>; peerOf: PeerOf },
  ) {
    const deadline = deadlineOf(call);
    const url = pathOf(method);
    this.#signal = new CallSignal(call, deadline);
    const signal = this.#signal.signal;
    const common = { service: method.parent, method, url, requestMethod: "POST" };
    const requestHeader = toHeaders(call.metadata);
    const context = createHandlerContext({ ...common, protocolName: "grpc", requestSignal: signal, requestHeader });
    const timeoutMs = () => (deadline === undefined ? undefined : deadline - Date.now());
    this.context = { ...context, signal, timeoutMs };
    const { requestHeader: header, responseHeader, values: contextValues } = context;
    const peek = (name: string) => header.get(name) ?? undefined;
    const setHeader = (name: string, value: string) => responseHeader.set(name, value);
    const { message, peerOf } = start;
    const known = { deadline, peek, peer: addressOfPeer(call.getPeer()), certified: peerOf(call), setHeader };
    this.request = { ...common, stream: true, message, signal, header, contextValues, ...known };
  }

  get signal(): AbortSignal {
    return this.#signal.signal;
  }

  /** The call is answered. */
  end(): void {
    this.#signal.end();
  }

  /** The innermost layer of the interceptors: calls the implementation. */
  invocation(method: DescMethodStreaming, implementation: AnyMethod): Call {
    return async (request) => {
      const context = this.#contextOf(request);
      const message = outputOf(method, implementation, { request, context });
      const { responseHeader: header, responseTrailer: trailer } = context;
      return { stream: true, service: method.parent, method, header, trailer, message };
    };
  }

  /** Interceptors may have replaced what the implementation sees of the request. */
  #contextOf(request: CallRequest): HandlerContext {
    const { service, header: requestHeader, signal, contextValues: values } = request;
    return { ...this.context, service, requestHeader, signal, values };
  }
}

function deadlineOf(call: StreamingCall): number | undefined {
  const deadline = call.getDeadline();
  return typeof deadline === "number" && deadline !== Number.POSITIVE_INFINITY ? deadline : undefined;
}

/** The messages that an implementation answers, whatever kind of stream it is. */
async function* outputOf(
  method: DescMethodStreaming,
  implementation: AnyMethod,
  { request, context }: { request: CallRequest; context: HandlerContext },
): AsyncGenerator<Message, void> {
  const input = request.stream ? request.message : single(request.message);
  if (method.methodKind === "client_streaming") {
    yield complete(method.output, await implementation(input as Input, context));
    return;
  }
  const first = method.methodKind === "server_streaming" ? await only(input) : input;
  if (!first) throw new ConnectError("the request has no message", Code.Unimplemented);
  for await (const message of implementation(first as Input, context)) yield complete(method.output, message);
}
