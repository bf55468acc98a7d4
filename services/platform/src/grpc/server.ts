import { subscribe } from "node:diagnostics_channel";
import type { IncomingHttpHeaders } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import type { ServiceCertificates } from "#platform/authorization/service-certificates.ts";
import { leaveOutBrokenTimeout, longestTimerMs, makeUsable } from "#platform/incoming-headers.ts";
import { compose } from "#platform/interceptors/compose.ts";
import { listenOn } from "#platform/listen.ts";
import type { AnyMethod, ServiceRegistration } from "#platform/registration.ts";
import type { TlsFiles } from "#platform/tls/tls-files.ts";
import { Peers } from "./certified-peers.ts";
import { isStreaming, isUnary, servedMethod } from "./codec.ts";
import { streamHandler } from "./stream-handler.ts";
import { serverCredentials } from "./tls.ts";
import { unaryHandler, unaryInvocation } from "./unary-handler.ts";

/** How the gRPC face serves. */
export interface GrpcServerOptions {
  readonly services: readonly ServiceRegistration[];
  /** The first is the outermost. */
  readonly interceptors: readonly Interceptor[];
  /** How long a unary call may take whose caller has not said, in milliseconds. */
  readonly defaultTimeoutMs: number;
  /** How long what a stream sends may stay unread, in milliseconds; a minute when it is left out. */
  readonly unreadMs?: number;
  /** The largest message in bytes, in both directions. */
  readonly maxMessageBytes: number;
  /** After so many milliseconds, give or take a tenth, a connection is ended when its calls are; never when 0 or left out. */
  readonly maxConnectionAgeMs?: number;
  /** Callers without TLS and a certificate are refused when it is given. */
  readonly tls?: TlsFiles | undefined;
  /** Which service shows a certificate; without it certificates only open the way. */
  readonly certificates?: ServiceCertificates | undefined;
}

// grpc-js reads the headers of a call before anything of ours runs, and shows its HTTP/2 server to nobody. Node tells here of
// each stream, with the same headers, before grpc-js is told.
subscribe("http2.server.stream.created", (message) => {
  const { headers } = message as { headers: IncomingHttpHeaders };
  makeUsable(headers);
  leaveOutBrokenTimeout(headers);
});

/** The gRPC face: Connect implementations served by grpc-js. */
export class GrpcServer {
  /** For services that are not ours: reflection and health. */
  readonly server: grpc.Server;
  readonly #injector: grpc.ConnectionInjector;
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  readonly #peers: Peers;

  constructor(options: GrpcServerOptions) {
    this.#peers = new Peers(options.tls && options.certificates);
    this.server = new grpc.Server({
      "grpc.max_receive_message_length": options.maxMessageBytes,
      "grpc.max_send_message_length": options.maxMessageBytes,
      // Nobody reads channelz here, and it counts on every call.
      "grpc.enable_channelz": 0,
      ...(options.maxConnectionAgeMs && { "grpc.max_connection_age_ms": options.maxConnectionAgeMs }),
    });
    for (const registration of options.services) this.#add(registration, options);
    // biome-ignore lint/plugin/tls: only where the settings name no certificates
    const credentials = options.tls ? serverCredentials(options.tls) : grpc.ServerCredentials.createInsecure();
    this.#injector = this.server.createConnectionInjector(credentials);
    // The listener is ours, so that connections can be ended: grpc-js knows its own only with channelz, which costs
    // on every call.
    this.#listener = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    this.#peers.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    this.#injector.injectConnection(socket);
  }

  #add(registration: ServiceRegistration, options: GrpcServerOptions): void {
    const definition: grpc.ServiceDefinition = {};
    const handlers: grpc.UntypedServiceImplementation = {};
    for (const method of registration.service.methods) {
      const implementation =
        registration.find(method) ?? unimplemented(`${registration.service.typeName}.${method.name}`);
      Object.assign(definition, { [method.name]: servedMethod(method) });
      const { interceptors, unreadMs = 60_000 } = options;
      const { peerOf } = this.#peers;
      if (isUnary(method)) {
        const run = compose(interceptors, unaryInvocation(method, implementation));
        handlers[method.name] = unaryHandler(method, run, { defaultTimeoutMs: options.defaultTimeoutMs, peerOf });
      } else if (isStreaming(method)) {
        handlers[method.name] = streamHandler({ method, implementation, interceptors, peerOf, unreadMs });
      }
    }
    this.server.addService(definition, handlers);
  }

  /** Opens the listener and returns its port. */
  listen(host: string, port: number): Promise<number> {
    return listenOn(this.#listener, host, port);
  }

  /** Closes the listener, tells clients to go elsewhere, and waits until the last connection has ended. */
  drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#listener.close(() => resolve());
      this.#injector.drain(longestTimerMs);
    });
  }

  /** Ends everything at once. */
  close(): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
    this.server.forceShutdown();
  }
}

function unimplemented(name: string): AnyMethod {
  return () => {
    throw new ConnectError(`${name} is not implemented`, Code.Unimplemented);
  };
}
