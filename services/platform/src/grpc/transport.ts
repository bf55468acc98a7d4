import type {
  DescMessage,
  DescMethod,
  DescMethodUnary,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Transport, UnaryResponse } from "@connectrpc/connect";
import type { Client, Metadata, MethodDefinition } from "@grpc/grpc-js";
import { complete, methodDefinition } from "./codec.ts";
import { toHeaders } from "./metadata.ts";
import { OutgoingCall } from "./outgoing.ts";
import { fromServiceError } from "./status.ts";
import { openStream } from "./transport-stream.ts";

/** How a client calls. */
export interface TransportOptions {
  /** How long a unary call may take that neither says so nor serves a call with a deadline, in milliseconds. */
  readonly defaultTimeoutMs: number;
}

/** An answer whose headers are made when they are asked for. */
class ClientResult<I extends DescMessage, O extends DescMessage> implements UnaryResponse<I, O> {
  readonly stream = false;
  readonly method: DescMethodUnary<I, O>;
  readonly message: MessageShape<O>;
  readonly #received: Received;

  constructor(method: DescMethodUnary<I, O>, message: MessageShape<O>, received: Received) {
    this.method = method;
    this.message = message;
    this.#received = received;
  }

  get service() {
    return this.method.parent;
  }

  get header(): Headers {
    return this.#received.header ? toHeaders(this.#received.header) : new Headers();
  }

  get trailer(): Headers {
    return this.#received.trailer ? toHeaders(this.#received.trailer) : new Headers();
  }
}

interface Received {
  header?: Metadata;
  trailer?: Metadata;
}

/** Makes Connect clients call over a channel of grpc-js. */
export class GrpcTransport implements Transport {
  readonly #client: Client;
  readonly #options: TransportOptions;
  readonly #definitions = new Map<DescMethod, MethodDefinition<Message, Message>>();

  constructor(client: Client, options: TransportOptions) {
    this.#client = client;
    this.#options = options;
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: ConstructorParameters<typeof Headers>[0] | undefined,
    input: MessageInitShape<I>,
  ): Promise<UnaryResponse<I, O>> {
    const { defaultTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const outgoing = new OutgoingCall({ method, signal, timeoutMs, header, defaultTimeoutMs });
      outgoing.throwIfAborted();
      const { path, requestSerialize, responseDeserialize } = this.#definitionOf(method);
      const received: Received = {};
      const request = complete(method.input, input);
      const { metadata, deadline } = outgoing;
      const options = deadline === Number.POSITIVE_INFINITY ? {} : { deadline };
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
        (error, message) => {
          const failure = error ? (outgoing.cancelled() ?? fromServiceError(error)) : undefined;
          outgoing.end(failure);
          if (failure) reject(failure);
          else resolve(new ClientResult<I, O>(method, message as MessageShape<O>, received));
        },
      );
      call.once("metadata", (value: Metadata) => {
        received.header = value;
      });
      call.once("status", (status) => {
        received.trailer = status.metadata;
      });
      outgoing.follow(() => call.cancel());
    });
  }

  stream: Transport["stream"] = (method, signal, timeoutMs, header, input) => {
    const outgoing = new OutgoingCall({ method, signal, timeoutMs, header, defaultTimeoutMs: undefined });
    return openStream({ client: this.#client, definition: this.#definitionOf(method), method, outgoing }, input);
  };

  #definitionOf(method: DescMethod): MethodDefinition<Message, Message> {
    const known = this.#definitions.get(method);
    if (known) return known;
    const definition = methodDefinition(method);
    this.#definitions.set(method, definition);
    return definition;
  }
}
