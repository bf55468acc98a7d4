import { constants, type Http2Stream } from "node:http2";
import type { Readable } from "node:stream";
import type { DescMethodStreaming, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type {
  Metadata,
  ServerDuplexStream,
  ServerReadableStream,
  ServerWritableStream,
  sendUnaryData,
} from "@grpc/grpc-js";
import { toConnectError } from "#platform/errors.ts";
import { compose } from "#platform/interceptors/compose.ts";
import type { AnyMethod } from "#platform/registration.ts";
import { goneReason } from "./call-signal.ts";
import type { PeerOf } from "./certified-peers.ts";
import { UnreadableRequest } from "./codec.ts";
import { hasHeaders, toMetadata } from "./metadata.ts";
import { type GrpcStatus, toGrpcStatus } from "./status.ts";
import { StreamCall, type StreamingCall } from "./stream-call.ts";
import { forEachMessage, UnreadError, writeMessage } from "./stream-pump.ts";

/** A streaming method and what serves it. */
export interface StreamMethod {
  readonly method: DescMethodStreaming;
  readonly implementation: AnyMethod;
  readonly interceptors: readonly Interceptor[];
  readonly peerOf: PeerOf;
  /** How long what is sent may stay unread, in milliseconds. */
  readonly unreadMs: number;
}

interface Answer {
  sendMetadata(metadata: Metadata): void;
  take(message: Message, signal: AbortSignal): Promise<void> | void;
  finish(trailer: Metadata): void;
  fail(status: GrpcStatus): void;
  /** Ends the call at once: a status would have to wait for what is not read. */
  reset(): void;
}

async function serve(target: StreamMethod, stream: StreamCall, answer: Answer): Promise<void> {
  const { method, implementation, interceptors } = target;
  let headersSent = false;
  const sendHeaders = (header: Headers): void => {
    if (!headersSent && hasHeaders(header)) answer.sendMetadata(toMetadata(header));
    headersSent = true;
  };
  try {
    const response = await compose(interceptors, stream.invocation(method, implementation))(stream.request);
    if (!response.stream) throw new Error("an interceptor answered a stream with a single message");
    await forEachMessage(response.message, stream.signal, (message) => {
      sendHeaders(response.header);
      return answer.take(message, stream.signal);
    });
    sendHeaders(response.header);
    answer.finish(toMetadata(response.trailer));
  } catch (error) {
    if (error instanceof UnreadError) return answer.reset();
    sendHeaders(stream.context.responseHeader);
    answer.fail(toGrpcStatus(toConnectError(error), stream.context.responseTrailer));
  } finally {
    stream.end();
  }
}

type Writer = ServerWritableStream<Received, Message> | ServerDuplexStream<Received, Message>;

function streamingAnswer(call: Writer, unreadMs: number): Answer {
  return {
    sendMetadata: (metadata) => call.sendMetadata(metadata),
    take: (message, signal) => writeMessage(call, message, { signal, unreadMs }),
    finish: (trailer) => call.end(trailer),
    fail: (status) => {
      if (!call.cancelled) call.emit("error", status);
    },
    reset: () => http2StreamOf(call)?.close(constants.NGHTTP2_ENHANCE_YOUR_CALM),
  };
}

/** grpc-js shows it to nobody, and has no way to reset a call. */
function http2StreamOf(call: Writer): Http2Stream | undefined {
  return (call as unknown as { call?: { stream?: Http2Stream } }).call?.stream;
}

function singleAnswer(call: ServerReadableStream<Received, Message>, callback: sendUnaryData<Message>): Answer {
  let last: Message | undefined;
  return {
    sendMetadata: (metadata) => call.sendMetadata(metadata),
    take: (message) => {
      last = message;
    },
    finish: (trailer) => callback(null, last, trailer),
    fail: (status) => callback(status),
    reset: () => undefined,
  };
}

type Received = Message | UnreadableRequest;

function readable(message: Received): Message {
  if (message instanceof UnreadableRequest) throw message.error;
  return message;
}

/** The only message of a stream's request. */
async function* onlyMessage(message: Received): AsyncGenerator<Message, void> {
  yield readable(message);
}

/** grpc-js destroys the stream of a call that ends early; the reader is told why instead. */
async function* messagesOf(call: Readable & StreamingCall): AsyncGenerator<Message, void> {
  // Who reads no further still has an answer to give, which goes over the same stream.
  const messages: AsyncIterable<Received> = call.iterator({ destroyOnReturn: false });
  try {
    for await (const message of messages) yield readable(message);
  } catch (error) {
    if (error instanceof ConnectError) throw error;
    if (!call.cancelled) throw new ConnectError("the request stream broke", Code.Canceled, undefined, undefined, error);
    const deadline = call.getDeadline();
    throw goneReason(typeof deadline === "number" ? deadline : undefined);
  }
}

/** Serves a streaming method on grpc-js, whatever its kind. */
export function streamHandler(target: StreamMethod) {
  const { method, peerOf } = target;
  if (method.methodKind === "server_streaming") {
    return (call: ServerWritableStream<Received, Message>): void => {
      void serve(
        target,
        new StreamCall(method, call, { message: onlyMessage(call.request), peerOf }),
        streamingAnswer(call, target.unreadMs),
      );
    };
  }
  if (method.methodKind === "client_streaming") {
    return (call: ServerReadableStream<Received, Message>, callback: sendUnaryData<Message>): void => {
      void serve(
        target,
        new StreamCall(method, call, { message: messagesOf(call), peerOf }),
        singleAnswer(call, callback),
      );
    };
  }
  return (call: ServerDuplexStream<Received, Message>): void => {
    void serve(
      target,
      new StreamCall(method, call, { message: messagesOf(call), peerOf }),
      streamingAnswer(call, target.unreadMs),
    );
  };
}
