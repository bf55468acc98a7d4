import { createServer as createHttp2Server } from "node:http2";
import { create, setExtension } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { createLocalJWKSet, type JWK, type JWTPayload } from "jose";
import { z } from "zod";
import {
  ConformanceService,
  type EchoRequest,
  EchoRequestSchema,
  type EchoResponse,
  EchoResponseSchema,
} from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { AccessSchema, access, Role } from "#gen/shop/type/v1/access_pb.js";
import { ExchangedKeys } from "#platform/authorization/exchanged-keys.ts";
import { rolesOf, TokenVerifier } from "#platform/authorization/token-verifier.ts";
import type { Caller, Credentials } from "#platform/caller.ts";
import { methodDefinition } from "#platform/grpc/codec.ts";
import { GrpcServer } from "#platform/grpc/server.ts";
import { accessInterceptor } from "#platform/interceptors/access.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { Limits, type Quotas } from "#platform/interceptors/limits.ts";
import { serverInterceptors } from "#platform/interceptors/server.ts";
import { StreamDrain } from "#platform/interceptors/stream-drain.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import { ClientAddresses } from "#platform/limits/client-address.ts";
import type { Ledger } from "#platform/limits/ledger.ts";
import { ValkeyLedger } from "#platform/limits/valkey-ledger.ts";
import { listenOn } from "#platform/listen.ts";
import { register } from "#platform/registration.ts";
import { Secret } from "#platform/secret.ts";
import { until } from "#testing/until.ts";
import { audience, issuer } from "./tokens.ts";
import { defaultTimeoutMs, echo, inCallContext, inFlight, logger, maxMessageBytes, metrics } from "./work.ts";

const host = "127.0.0.1";

/** More than the load is; what a caller has left is counted as for any other quota. */
const ample = { calls: 1e9, windowMs: 1_000 };
const noQuotas = { read: undefined, write: undefined, sensitive: undefined, service: undefined };

/** What a contender is told besides its name. */
export interface Surroundings {
  /** Where replicas share their limits. */
  readonly store: string;
  /** The public key of the issuer. */
  readonly key: JWK;
}

interface Ours {
  readonly quotas: Quotas;
  readonly ledger?: Ledger;
  readonly credentials?: Credentials;
}

/** Our gRPC face with the interceptors of production. */
function ours({ quotas, ledger, credentials }: Ours): Promise<number> {
  const addresses = new ClientAddresses([], "x-forwarded-for");
  const interceptors = serverInterceptors({
    services: [ConformanceService],
    logger,
    metrics,
    inFlight,
    streamDrain: new StreamDrain(),
    credentials,
    limits: new Limits({ quotas, ledger, addresses }),
    addresses,
    defaultTimeoutMs,
    maxMessageBytes,
    tracing: false,
  });
  const services = [register(ConformanceService, { echo })];
  const limits = { defaultTimeoutMs, maxMessageBytes };
  return new GrpcServer({ services, interceptors, ...limits }).listen(host, 0);
}

/** The same for agents alone, who show an access token with each call; what was verified is remembered, as everywhere. */
function guarded({ key }: Surroundings): Promise<number> {
  // In this process alone; everywhere else anybody may call it.
  setExtension(ConformanceService.method.echo.proto.options ?? raise(), access, create(AccessSchema, agentsAlone));
  const keys = createLocalJWKSet({ keys: [key] });
  const callerOf = ({ sub = "", roles }: JWTPayload): Caller => ({ subject: sub, roles: rolesOf(roles) });
  const verifier = new TokenVerifier([{ issuer, audience, keys, callerOf }]);
  const unused = () => Promise.reject(new Error("nobody shows an API key here"));
  return ours({ quotas: { ...noQuotas, write: ample }, credentials: new ExchangedKeys(verifier, unused) });
}

const agentsAlone = { roles: [Role.AGENT] };

function raise(): never {
  throw new Error("the contract says nothing of Echo");
}

/** The same, whose limits other replicas hear of: some ten times a second at this load. */
async function shared({ store }: Surroundings): Promise<number> {
  const url = new Secret(store, z.string());
  const ledger = new ValkeyLedger({ url, password: undefined, service: "bench", logger });
  await until(() => ledger.isThere, "the store answers");
  return ours({ quotas: { ...noQuotas, write: { calls: 20_000, windowMs: 1_000 } }, ledger });
}

/** The context as one would write it for Connect; Connect itself keeps the deadline. */
function plainContext(): Interceptor {
  return (next) => (request) => {
    const timeout = Number.parseInt(request.header.get("grpc-timeout") ?? "", 10);
    const deadline = Date.now() + (Number.isNaN(timeout) ? defaultTimeoutMs : timeout * 1000);
    return inCallContext(request.header.get("x-request-id") ?? undefined, deadline, () => next(request));
  };
}

/** A gRPC server as connect-node's documentation shows it. */
function connectNode(): Promise<number> {
  const interceptors = [
    plainContext(),
    accessInterceptor(logger, metrics),
    errorInterceptor(),
    inFlight.interceptor(),
    validationInterceptor([ConformanceService]),
  ];
  const routes = register(ConformanceService, { echo }).route;
  return listenOn(createHttp2Server(connectNodeAdapter({ routes, interceptors })), host, 0);
}

/** grpc-js without anything of ours but the codec; the work of the interceptors is written out in the handler. */
function bare(): Promise<number> {
  const validator = createValidator();
  const record = metrics.forMethod(ConformanceService.method.echo);
  const handle: grpc.handleUnaryCall<EchoRequest, EchoResponse> = async (call, callback) => {
    const begin = performance.now();
    const deadline = Number(call.getDeadline());
    const id = call.metadata.get("x-request-id")[0]?.toString();
    await inCallContext(id, deadline, async () => {
      if (Date.now() >= deadline) return callback({ code: grpc.status.DEADLINE_EXCEEDED });
      const result = validator.validate(EchoRequestSchema, call.request);
      if (result.kind !== "valid")
        return callback({ code: grpc.status.INVALID_ARGUMENT, details: String(result.error) });
      callback(null, create(EchoResponseSchema, echo(call.request)));
    });
    record(0, (performance.now() - begin) / 1000);
    if (logger.level === "debug") logger.debug("served");
  };
  const server = new grpc.Server({ "grpc.enable_channelz": 0 });
  server.addService({ echo: methodDefinition(ConformanceService.method.echo) }, { echo: handle });
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, port: number) => (error ? reject(error) : resolve(port));
    server.bindAsync(`${host}:0`, grpc.ServerCredentials.createInsecure(), done);
  });
}

/** Each opens a server and resolves with its port. */
export const contenders = {
  ours: () => ours({ quotas: { ...noQuotas, write: ample } }),
  shared,
  guarded,
  unlimited: () => ours({ quotas: noQuotas }),
  "connect-node": connectNode,
  "grpc-js": bare,
} as const;
export type Contender = keyof typeof contenders;
