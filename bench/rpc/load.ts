// The load generator: a process of its own, the same for every contender. It is told a port by its parent, calls for a
// while and answers what it saw.
import { setTimeout as pause } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { ConformanceService, EchoRequestSchema } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { LoadConnection } from "./connection.ts";
import { callTemplate } from "./frames.ts";
import { connectionCount } from "./tokens.ts";

/** One round. */
export interface Round {
  readonly port: number;
  readonly milliseconds: number;
  /** What is shown with each call, a credential for each connection; nothing when left out. */
  readonly tokens?: readonly string[] | undefined;
}

/** What a round showed; latencies in milliseconds. */
export interface RoundResult {
  readonly calls: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly failures: number;
}

const callsPerConnection = 16;

const request = create(EchoRequestSchema, { text: "an order of two coffees and a tea", payload: new Uint8Array(100) });
const path = `/${ConformanceService.typeName}/${ConformanceService.method.echo.name}`;
const headers = {
  "content-type": "application/grpc+proto",
  te: "trailers",
  "user-agent": "bench",
  "grpc-timeout": "5S",
  "x-request-id": "01JD3Q2V6X5T0E8K9M4N7P1R2S",
};

function templateOf(token: string | undefined): Buffer {
  const credential: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return callTemplate(path, { ...headers, ...credential }, toBinary(EchoRequestSchema, request));
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function run({ port, milliseconds, tokens }: Round): Promise<RoundResult> {
  const opened = Array.from({ length: connectionCount }, (_, index) =>
    LoadConnection.open(port, templateOf(tokens?.[index])),
  );
  const connections = await Promise.all(opened);
  const begin = performance.now();
  for (const connection of connections) connection.start(callsPerConnection);
  await pause(milliseconds);
  const stopped = Promise.all(connections.map((connection) => connection.stop()));
  const seconds = (performance.now() - begin) / 1000;
  const latencies = connections.flatMap((connection) => connection.latencies).sort((a, b) => a - b);
  await stopped;
  const failures = connections.reduce((sum, connection) => sum + connection.failures, 0);
  return {
    calls: latencies.length,
    perSecond: latencies.length / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    failures,
  };
}

process.on("message", (round: Round) => {
  run(round).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit(0));
