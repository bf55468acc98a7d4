import type { DescService } from "@bufbuild/protobuf";
import { type Client, type ConnectError, createClient } from "@connectrpc/connect";
import type { Client as Channel } from "@grpc/grpc-js";
import type { TlsFiles } from "#platform/tls/tls-files.ts";
import { openChannel } from "./channel.ts";
import { GrpcTransport } from "./transport.ts";

/** How the clients of a process call. */
export interface ClientsOptions {
  /** The process that calls, as callees know it. */
  readonly service?: string;
  /** What the process shows to whoever asks it who it is, as the header `authorization` has it; nothing without it. */
  readonly authorization?: () => string;
  /** What a callee's refusal is to whoever called; as it is, without it. */
  readonly refusal?: (error: ConnectError) => ConnectError;
  readonly defaultTimeoutMs: number;
  readonly maxMessageBytes: number;
  /** Without it calls are made in plain text. */
  readonly tls?: TlsFiles | undefined;
  /** Whether the proxy of the environment is asked to connect; not by default. */
  readonly useProxy?: boolean;
}

/** The clients of one process; calls to the same address share a channel. */
export class Clients {
  readonly #options: ClientsOptions;
  readonly #channels = new Map<string, { channel: Channel; transport: GrpcTransport }>();

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** A client of a service at an address; see `ServiceContext.client`. */
  client<T extends DescService>(service: T, address: string): Client<T> {
    return createClient(service, this.#transport(address));
  }

  #transport(address: string): GrpcTransport {
    const known = this.#channels.get(address);
    if (known) return known.transport;
    const channel = openChannel(address, this.#options.maxMessageBytes, this.#options);
    const transport = new GrpcTransport(channel, { ...this.#options, address });
    this.#channels.set(address, { channel, transport });
    return transport;
  }

  /** Closes all channels. */
  close(): void {
    for (const { channel } of this.#channels.values()) channel.close();
    this.#channels.clear();
  }
}
