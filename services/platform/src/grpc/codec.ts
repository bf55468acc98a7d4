import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  Message,
  MessageInitShape,
} from "@bufbuild/protobuf";
import { create, fromBinary, isMessage, toBinary } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { MethodDefinition } from "@grpc/grpc-js";
import { unreadable } from "#platform/bad-request.ts";

/** The path of a method in HTTP/2. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function serializer(schema: DescMessage): (message: Message) => Buffer {
  return (message) => {
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function deserializer(schema: DescMessage): (bytes: Buffer) => Message {
  return (bytes) => fromBinary(schema, bytes);
}

/** What stands in the place of a request that cannot be read: grpc-js would call that an internal error. */
export class UnreadableRequest {
  readonly error: ConnectError;

  constructor(error: ConnectError) {
    this.error = error;
  }
}

/** A method as grpc-js describes it for servers; a request is a message or an {@link UnreadableRequest}. */
export function servedMethod(method: DescMethod) {
  const definition = methodDefinition(method);
  const requestDeserialize = (bytes: Buffer): Message | UnreadableRequest => {
    try {
      return definition.requestDeserialize(bytes);
    } catch (error) {
      return new UnreadableRequest(unreadable(method.input, error));
    }
  };
  return { ...definition, requestDeserialize };
}

/** A method as grpc-js describes it for clients. */
export function methodDefinition(method: DescMethod): MethodDefinition<Message, Message> {
  const kind = method.methodKind;
  return {
    path: pathOf(method),
    requestStream: kind === "client_streaming" || kind === "bidi_streaming",
    responseStream: kind === "server_streaming" || kind === "bidi_streaming",
    requestSerialize: serializer(method.input),
    requestDeserialize: deserializer(method.input),
    responseSerialize: serializer(method.output),
    responseDeserialize: deserializer(method.output),
  };
}

/** A whole message from what an implementation or a caller gave. */
export function complete(schema: DescMessage, init: MessageInitShape<DescMessage>): Message {
  return isMessage(init, schema) ? init : create(schema, init);
}

/** Tells the two types of method apart. */
export function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

/** Tells the two types of method apart. */
export function isStreaming(method: DescMethod): method is DescMethodStreaming {
  return method.methodKind !== "unary";
}
