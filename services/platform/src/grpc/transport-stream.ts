import type { DescMessage, DescMethodStreaming, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type StreamResponse } from "@connectrpc/connect";
import type { Client, ClientDuplexStream, Metadata, MethodDefinition, ServiceError, StatusObject } from "@grpc/grpc-js";
import { callEnded } from "./call-signal.ts";
import { complete } from "./codec.ts";
import { toHeaders } from "./metadata.ts";
import type { OutgoingCall } from "./outgoing.ts";
import { fromServiceError } from "./status.ts";
import { forEachMessage, writeMessage } from "./stream-pump.ts";

/** A stream that is to be opened. */
export interface StreamStart<I extends DescMessage, O extends DescMessage> {
  readonly client: Client;
  readonly definition: MethodDefinition<Message, Message>;
  readonly method: DescMethodStreaming<I, O>;
  readonly outgoing: OutgoingCall;
  /** What a callee's refusal is to whoever called. */
  readonly refusal: (error: ConnectError) => ConnectError;
}

type Wire = ClientDuplexStream<Message, Message>;

/** One stream that this process opened. On the wire every kind of stream is a bidirectional one. */
class ClientStream<I extends DescMessage, O extends DescMessage> {
  readonly trailer = new Headers();
  readonly #start: StreamStart<I, O>;
  readonly #call: Wire;
  readonly #over = new AbortController();
  #failure: ConnectError | undefined;

  constructor(start: StreamStart<I, O>) {
    this.#start = start;
    const { client, definition, outgoing } = start;
    const options = outgoing.deadline === Number.POSITIVE_INFINITY ? {} : { deadline: outgoing.deadline };
    const { path, requestSerialize, responseDeserialize } = definition;
    this.#call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, outgoing.metadata, options);
    // Without a listener an error that comes while nobody reads would end the process.
    this.#call.on("error", (error: ServiceError) => this.#fail(error));
    this.#call.once("status", (status: StatusObject) => this.#end(status));
    outgoing.follow(() => this.#call.cancel());
  }

  #fail(error: unknown): void {
    this.#failure ??= this.#start.outgoing.cancelled() ?? this.#start.refusal(toError(error));
  }

  #end(status: StatusObject): void {
    toHeaders(status.metadata).forEach((value, name) => {
      this.trailer.append(name, value);
    });
    this.#start.outgoing.end(this.#failure);
    this.#over.abort(this.#failure ?? callEnded);
  }

  /** The headers of the answer, which come with its first message at the latest. */
  header(): Promise<Headers> {
    return new Promise((resolve, reject) => {
      this.#call.once("metadata", (metadata: Metadata) => resolve(toHeaders(metadata)));
      const onOver = (): void => (this.#failure ? reject(this.#failure) : resolve(new Headers()));
      this.#over.signal.addEventListener("abort", onOver, { once: true });
    });
  }

  /** Sends everything that the caller gives, until the call is over. */
  async send(input: AsyncIterable<MessageInitShape<I>>): Promise<void> {
    const { signal } = this.#over;
    try {
      const write = (init: MessageInitShape<I>) =>
        writeMessage(this.#call, complete(this.#start.method.input, init), { signal });
      await forEachMessage(input, signal, write);
      this.#call.end();
    } catch (error) {
      // Once the call is over its own status counts, not that there was more to send.
      if (signal.aborted) return;
      this.#fail(error);
      this.#call.cancel();
    }
  }

  async *messages(): AsyncGenerator<MessageShape<O>, void> {
    try {
      for await (const message of this.#call) yield message as MessageShape<O>;
    } catch (error) {
      this.#fail(error);
    } finally {
      // Does nothing when the call is over; else nobody reads on.
      this.#call.cancel();
    }
    if (this.#failure) throw this.#failure;
  }
}

function toError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const fromWire = error instanceof Error && "code" in error && "details" in error && "metadata" in error;
  return fromWire ? fromServiceError(error as ServiceError) : ConnectError.from(error, Code.Unknown);
}

/** Opens a stream; resolves with its headers. */
export async function openStream<I extends DescMessage, O extends DescMessage>(
  start: StreamStart<I, O>,
  input: AsyncIterable<MessageInitShape<I>>,
): Promise<StreamResponse<I, O>> {
  start.outgoing.throwIfAborted();
  const { method } = start;
  const stream = new ClientStream(start);
  void stream.send(input);
  const header = await stream.header();
  return { stream: true, service: method.parent, method, header, trailer: stream.trailer, message: stream.messages() };
}
