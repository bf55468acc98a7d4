import type { DescMethodUnary, DescService, Message } from "@bufbuild/protobuf";
import {
  type ContextValues,
  createContextValues,
  type HandlerContext,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import type { ServerUnaryCall } from "@grpc/grpc-js";
import type { Peer } from "#platform/caller.ts";
import type { KnownCall } from "#platform/interceptors/known-call.ts";
import { CallSignal, goneReason } from "./call-signal.ts";
import type { PeerOf } from "./certified-peers.ts";
import { toHeaders } from "./metadata.ts";
import { addressOfPeer } from "./peer.ts";

/**
 * One unary call on the gRPC face, both as interceptors see it and as the implementation sees it. What a call may never
 * use (headers, the signal, context values) is made when it is first asked for. Its properties are getters: an
 * interceptor that replaces the request must copy by name.
 */
export class UnaryCall implements UnaryRequest, HandlerContext, KnownCall {
  readonly stream = false;
  readonly requestMethod = "POST";
  readonly protocolName = "grpc";
  readonly method: DescMethodUnary;
  readonly url: string;
  readonly message: Message;
  readonly deadline: number;
  readonly #call: ServerUnaryCall<Message, Message>;
  readonly #peerOf: PeerOf;
  #ended = false;
  #signal: CallSignal | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #values: ContextValues | undefined;

  constructor(
    method: DescMethodUnary,
    url: string,
    start: { call: ServerUnaryCall<Message, Message>; deadline: number; peerOf: PeerOf },
  ) {
    this.method = method;
    this.url = url;
    this.message = start.call.request;
    this.deadline = start.deadline;
    this.#call = start.call;
    this.#peerOf = start.peerOf;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get header(): Headers {
    this.#requestHeader ??= toHeaders(this.#call.metadata);
    return this.#requestHeader;
  }

  get requestHeader(): Headers {
    return this.header;
  }

  get responseHeader(): Headers {
    this.#responseHeader ??= new Headers();
    return this.#responseHeader;
  }

  get responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers();
    return this.#responseTrailer;
  }

  get contextValues(): ContextValues {
    this.#values ??= createContextValues();
    return this.#values;
  }

  get values(): ContextValues {
    return this.contextValues;
  }

  get certified(): Peer | undefined {
    return this.#peerOf(this.#call);
  }

  get signal(): AbortSignal {
    this.#signal ??= new CallSignal(this.#call, this.deadline, this.#ended);
    return this.#signal.signal;
  }

  /** The response headers, if anything asked for them. */
  get sentHeader(): Headers | undefined {
    return this.#responseHeader;
  }

  /** The response trailers, if anything asked for them. */
  get sentTrailer(): Headers | undefined {
    return this.#responseTrailer;
  }

  timeoutMs(): number {
    return this.deadline - Date.now();
  }

  get peer(): string {
    return addressOfPeer(this.#call.getPeer());
  }

  setHeader(name: string, value: string): void {
    this.responseHeader.set(name, value);
  }

  peek(name: string): string | undefined {
    const value = this.#call.metadata.get(name)[0];
    return typeof value === "string" ? value : undefined;
  }

  /** Throws when nobody waits any more: what was done is not an answer then. */
  throwIfGone(): void {
    if (this.#call.cancelled || Date.now() >= this.deadline) throw goneReason(this.deadline);
  }

  /** The deadline passes without grpc-js noticing, because it is not the caller's. */
  expire(): void {
    this.#ended = true;
    this.#signal?.abort(goneReason(this.deadline));
  }

  /** To be called when the call is answered: ends whatever still follows the signal. */
  end(): void {
    this.#ended = true;
    this.#signal?.end();
  }
}

/** The answer of a {@link UnaryCall}; its headers are those of the call. */
export class UnaryResult implements UnaryResponse {
  readonly stream = false;
  readonly message: Message;
  readonly #call: UnaryCall;

  constructor(call: UnaryCall, message: Message) {
    this.#call = call;
    this.message = message;
  }

  get method(): DescMethodUnary {
    return this.#call.method;
  }

  get service(): DescService {
    return this.#call.service;
  }

  get header(): Headers {
    return this.#call.responseHeader;
  }

  get trailer(): Headers {
    return this.#call.responseTrailer;
  }
}
