// Every protocol in which a Connect client can call the service under test.
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { openChannel } from "#platform/grpc/channel.ts";
import { GrpcTransport } from "#platform/grpc/transport.ts";

/** A large message in the tests, and the limit that it stays below; bytes. */
export const largeBytes = 2 * 1024 * 1024;
export const limitBytes = 4 * 1024 * 1024;

/** One way to call. */
export interface Face {
  readonly name: string;
  /** Whether request and response streams can run at the same time; HTTP/1.1 cannot. */
  readonly duplex: boolean;
  /** Whether messages are JSON. */
  readonly json?: true;
  transport(ports: { grpcPort: number; httpPort: number }): { transport: Transport; close(): void };
}

const clientLimit = 64 * 1024 * 1024;

function nothingToClose(transport: Transport) {
  return { transport, close: () => undefined };
}

/** All faces. */
export const faces: readonly Face[] = [
  {
    name: "gRPC, our transport",
    duplex: true,
    transport: ({ grpcPort }) => {
      const channel = openChannel(`127.0.0.1:${grpcPort}`, clientLimit);
      return { transport: new GrpcTransport(channel, { defaultTimeoutMs: 10_000 }), close: () => channel.close() };
    },
  },
  {
    name: "gRPC, connect-node",
    duplex: true,
    transport: ({ grpcPort }) =>
      nothingToClose(createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}`, idleConnectionTimeoutMs: 50 })),
  },
  {
    name: "gRPC-Web",
    duplex: false,
    transport: ({ httpPort }) =>
      nothingToClose(createGrpcWebTransport({ baseUrl: `http://127.0.0.1:${httpPort}`, httpVersion: "1.1" })),
  },
  {
    name: "Connect, binary",
    duplex: false,
    transport: ({ httpPort }) =>
      nothingToClose(
        createConnectTransport({ baseUrl: `http://127.0.0.1:${httpPort}`, httpVersion: "1.1", useBinaryFormat: true }),
      ),
  },
  {
    name: "Connect, JSON",
    duplex: false,
    json: true,
    transport: ({ httpPort }) =>
      nothingToClose(
        createConnectTransport({ baseUrl: `http://127.0.0.1:${httpPort}`, httpVersion: "1.1", useBinaryFormat: false }),
      ),
  },
];
