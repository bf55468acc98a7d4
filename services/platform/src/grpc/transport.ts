import type {
  DescMessage,
  DescMethod,
  DescMethodUnary,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { ConnectError, Transport, UnaryResponse } from "@connectrpc/connect";
import type { Client, Metadata, MethodDefinition } from "@grpc/grpc-js";
import { type Attributes, SpanKind } from "@opentelemetry/api";
import { rpcAttributes, spanNameOf } from "#platform/interceptors/telemetry.ts";
import { recorderOf } from "#platform/metrics/metrics.ts";
import { clientCalls } from "#platform/metrics/process-metrics.ts";
import { complete, methodDefinition } from "./codec.ts";
import { toHeaders } from "./metadata.ts";
import { type MethodTelemetry, OutgoingCall } from "./outgoing.ts";
import { fromServiceError } from "./status.ts";
import { openStream } from "./transport-stream.ts";

/** How a client calls. */
export interface TransportOptions {
  /** What is called, for spans: `host:port`, or a target that grpc-js resolves. */
  readonly address?: string;
  /** What goes along as the header `authorization`, when the call does not say its own. */
  readonly authorization?: () => string;
  /** What a callee's refusal is to whoever called; as it is, without it. */
  readonly refusal?: ((error: ConnectError) => ConnectError) | undefined;
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
  readonly #refusal: (error: ConnectError) => ConnectError;
  readonly #methods = new Map<DescMethod, KnownMethod>();
  readonly #peer: Attributes;

  constructor(client: Client, options: TransportOptions) {
    this.#client = client;
    this.#options = options;
    this.#refusal = options.refusal ?? ((error) => error);
    this.#peer = peerAttributes(options.address);
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: ConstructorParameters<typeof Headers>[0] | undefined,
    input: MessageInitShape<I>,
  ): Promise<UnaryResponse<I, O>> {
    const { defaultTimeoutMs, authorization } = this.#options;
    return new Promise((resolve, reject) => {
      const { definition, telemetry } = this.#known(method);
      const outgoing = new OutgoingCall({ telemetry, signal, timeoutMs, header, defaultTimeoutMs, authorization });
      outgoing.throwIfAborted();
      const { path, requestSerialize, responseDeserialize } = definition;
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
          const failure = error ? (outgoing.cancelled() ?? this.#refusal(fromServiceError(error))) : undefined;
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
    const { definition, telemetry } = this.#known(method);
    const { authorization } = this.#options;
    const settings = { telemetry, signal, timeoutMs, header, defaultTimeoutMs: undefined, authorization };
    const outgoing = new OutgoingCall(settings);
    return openStream({ client: this.#client, definition, method, outgoing, refusal: this.#refusal }, input);
  };

  #known(method: DescMethod): KnownMethod {
    const known = this.#methods.get(method);
    if (known) return known;
    const attributes = { ...rpcAttributes(method), ...this.#peer };
    const made = {
      definition: methodDefinition(method),
      telemetry: {
        name: spanNameOf(method),
        spanOptions: { kind: SpanKind.CLIENT, attributes },
        record: recorderOf(clientCalls, method),
      },
    };
    this.#methods.set(method, made);
    return made;
  }
}

/** What is made once for each method that is called. */
interface KnownMethod {
  readonly definition: MethodDefinition<Message, Message>;
  readonly telemetry: MethodTelemetry;
}

/** Host and port of a target as spans say them: of `dns:///orders:50051` and of `orders:50051` alike. */
function peerAttributes(address: string | undefined): Attributes {
  const [, host, port] = address?.match(/([^/,]+?)(?::(\d+))?$/) ?? [];
  return { ...(host && { "server.address": host }), ...(port && { "server.port": Number(port) }) };
}
