import { Code, ConnectError } from "@connectrpc/connect";
import type { z } from "zod";
import { IdentityService } from "#gen/shop/identity/v1/identity_service_pb.js";
import { credentialRefused } from "#platform/authorization/errors.ts";
import { ExchangedKeys } from "#platform/authorization/exchanged-keys.ts";
import { toIssuer } from "#platform/authorization/issuers.ts";
import { ServiceTokens, serviceIssuers } from "#platform/authorization/service-tokens.ts";
import { TokenVerifier } from "#platform/authorization/token-verifier.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { Credentials } from "#platform/caller.ts";
import { databaseConfig, loadConfig, type PlatformConfig, platformConfig, withRole } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import { purgeIdempotencyKeys } from "#platform/database/idempotency.ts";
import { Clients } from "#platform/grpc/clients.ts";
import { tlsOf } from "#platform/grpc/tls.ts";
import { countLeftOutLines } from "#platform/log/log-metrics.ts";
import { createLogger, type Logger } from "#platform/log/logger.ts";
import { createRegistry } from "#platform/metrics/metrics.ts";
import { startTelemetry } from "#platform/trace/telemetry.ts";
import { type Faces, openFaces } from "./faces.ts";
import { watchSecrets } from "./secrets.ts";
import type { ServiceConfig, ServiceContext, ServiceDefinition } from "./service-definition.ts";
import { openDatabase, within } from "./startup.ts";

/** A service that runs. */
export interface RunningService {
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly logger: Logger;
  /** Not ready, listeners closed, calls in flight finished, background work ended, connections closed. */
  drain(): Promise<void>;
}

/** How long each closing step may take, in milliseconds. */
const closeTimeoutMs = 5_000;
/** How often is looked for request ids that are old enough to be forgotten, in milliseconds. */
const purgeEveryMs = 600_000;

function readConfig<S extends z.ZodRawShape>(
  definition: ServiceDefinition<S>,
  env: NodeJS.ProcessEnv | undefined,
): ServiceConfig<S> {
  const shape = { ...platformConfig, ...(definition.database ? databaseConfig : {}), ...definition.config };
  return withRole(loadConfig<z.ZodRawShape>(shape, env) as ServiceConfig<S>);
}

/** Opens what a service is built from; the stack closes it, last opened first. */
async function openResources<S extends z.ZodRawShape>(
  definition: ServiceDefinition<S>,
  config: ServiceConfig<S>,
  { stack, output }: { stack: AsyncDisposableStack; output: NodeJS.WritableStream },
): Promise<{ context: ServiceContext<S>; closing: AbortController }> {
  const name = config.SERVICE_NAME ?? definition.name;
  const { logger, repeated } = createLogger({
    name,
    level: config.LOG_LEVEL,
    format: config.LOG_FORMAT,
    stream: output,
  });
  const registry = createRegistry(name);
  countLeftOutLines(registry, repeated);
  stack.defer(() => repeated.settle(true));
  stack.defer(watchSecrets(config, { everyMs: config.SECRETS_REFRESH_MS, logger }));
  const telemetry = await startTelemetry(name, config, logger);
  stack.defer(() => within(closeTimeoutMs, "sending the last spans", telemetry.shutdown()));
  const opened = await openDatabase(definition, config, logger);
  if (opened) stack.defer(() => within(closeTimeoutMs, "closing the database", opened.close()));
  const tokens = config.SERVICE_KEY && (await ServiceTokens.open(definition.name, config.SERVICE_KEY, logger));
  if (tokens) stack.use(tokens);
  const clients = new Clients({
    service: name,
    ...(tokens && { authorization: () => tokens.authorization }),
    defaultTimeoutMs: config.DEFAULT_TIMEOUT_MS,
    maxMessageBytes: config.MAX_MESSAGE_BYTES,
    tls: tlsOf(config),
    useProxy: config.GRPC_USE_PROXY,
  });
  stack.defer(() => clients.close());
  const closing = new AbortController();
  const context: ServiceContext<S> = {
    config,
    logger,
    output,
    registry,
    client: (service, address) => clients.client(service, address),
    get database(): Database {
      if (!opened) throw new Error(`${name} has no database`);
      return opened;
    },
    closing: closing.signal,
  };
  return { context, closing };
}

/** What callers prove who they are with; undefined when nobody is asked. */
function credentialsOf(
  config: PlatformConfig,
  client: ServiceContext<z.ZodRawShape>["client"],
): Credentials | undefined {
  const { TOKEN_ISSUERS, SERVICE_KEYS, IDENTITY_ADDRESS } = config;
  if (!TOKEN_ISSUERS) return undefined;
  const tokens = new TokenVerifier([...TOKEN_ISSUERS.map(toIssuer), ...serviceIssuers(SERVICE_KEYS)]);
  if (!IDENTITY_ADDRESS) return tokens;
  const identity = client(IdentityService, IDENTITY_ADDRESS);
  return new ExchangedKeys(tokens, async (apiKey) => {
    try {
      return (await identity.exchangeApiKey({ apiKey })).accessToken;
    } catch (error) {
      throw ConnectError.from(error).code === Code.Unauthenticated ? credentialRefused("invalid", error) : error;
    }
  });
}

/** Every database of a service has keys of repeatable calls, which are not kept for ever. */
function forgetRequestIds(database: Database, retentionMs: number, log: Logger): Relay {
  const sweep = () => purgeIdempotencyKeys(database, retentionMs);
  const relay = new Relay({ name: "forgetting request ids", everyMs: purgeEveryMs, log, sweep });
  relay.start();
  return relay;
}

/**
 * Runs a service in this process; `startService` does so for a whole process, tests for a part of one.
 *
 * @param env the variables to read; those of the process by default
 * @param output where the log goes
 * @throws ConfigError or StartError with one clear sentence; everything that was opened is closed again
 */
export async function launch<S extends z.ZodRawShape>(
  definition: ServiceDefinition<S>,
  env?: NodeJS.ProcessEnv,
  output: NodeJS.WritableStream = process.stdout,
): Promise<RunningService> {
  const config = readConfig(definition, env);
  await using stack = new AsyncDisposableStack();
  const { context, closing } = await openResources(definition, config, { stack, output });
  const parts = await definition.build(context);
  stack.defer(() => within(closeTimeoutMs, "stopping the background work", parts.stop?.() ?? Promise.resolve()));
  const checks = [
    ...(definition.database ? [() => context.database.ping()] : []),
    ...(parts.ready ? [parts.ready] : []),
  ];
  const { logger, registry } = context;
  const credentials = parts.credentials ?? credentialsOf(config, context.client);
  const served = { ...parts, ...(credentials && { credentials }) };
  const faces: Faces = await openFaces({ ...served, checks, config, logger, registry, closing });
  stack.defer(() => faces.drain());
  await parts.start?.();
  if (definition.database && config.REQUEST_ID_RETENTION_MS) {
    const forgetting = forgetRequestIds(context.database, config.REQUEST_ID_RETENTION_MS, context.logger);
    stack.defer(() => forgetting.stop());
  }
  logger.info("listening", { "server.grpc.port": faces.grpcPort, "server.http.port": faces.httpPort });
  const opened = stack.move();
  return { grpcPort: faces.grpcPort, httpPort: faces.httpPort, logger, drain: () => opened.disposeAsync() };
}
