import { Code, ConnectError } from "@connectrpc/connect";
import { ROOT_CONTEXT, context as traceContext } from "@opentelemetry/api";
import type { z } from "zod";
import { IdentityService } from "#gen/shop/identity/v1/identity_service_pb.js";
import { credentialRefused, refusalOfCallee } from "#platform/authorization/errors.ts";
import { ExchangedKeys } from "#platform/authorization/exchanged-keys.ts";
import { toIssuer } from "#platform/authorization/issuers.ts";
import { ServiceTokens, serviceIssuers } from "#platform/authorization/service-tokens.ts";
import { TokenVerifier } from "#platform/authorization/token-verifier.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { Credentials } from "#platform/caller.ts";
import {
  ConfigError,
  databaseConfig,
  eventsConfig,
  loadConfig,
  type PlatformConfig,
  platformConfig,
  withRole,
} from "#platform/config.ts";
import { runInContext } from "#platform/context.ts";
import type { Database } from "#platform/database/database.ts";
import { purgeIdempotencyKeys } from "#platform/database/idempotency.ts";
import { type FlagsOptions, type OpenedFlags, openFlags } from "#platform/flags/feature-flags.ts";
import { Clients } from "#platform/grpc/clients.ts";
import { countLeftOutLines } from "#platform/log/log-metrics.ts";
import { createLogger, type Logger } from "#platform/log/logger.ts";
import { createRegistry } from "#platform/metrics/metrics.ts";
import { TlsFiles } from "#platform/tls/tls-files.ts";
import { startTelemetry, type Telemetry } from "#platform/trace/telemetry.ts";
import { type Reloads, watchConfigFile } from "./config-file.ts";
import { type Faces, openFaces } from "./faces.ts";
import { watchSecrets } from "./secrets.ts";
import type { ServiceConfig, ServiceContext, ServiceDefinition } from "./service-definition.ts";
import { openDatabase, StartError, within } from "./startup.ts";

/** A service that runs. */
export interface RunningService {
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Of health and metrics; undefined where they are on the HTTP port. */
  readonly adminPort: number | undefined;
  readonly logger: Logger;
  /** Not ready, listeners closed, calls in flight finished, background work ended, connections closed. */
  drain(): Promise<void>;
}

/** How long each closing step may take, in milliseconds. */
const closeTimeoutMs = 5_000;
/** How long identity may take to exchange a key, in milliseconds. */
const exchangeTimeoutMs = 5_000;
/** How often is looked for request ids that are old enough to be forgotten, in milliseconds. */
const purgeEveryMs = 600_000;

function readConfig<S extends z.ZodRawShape>(
  definition: ServiceDefinition<S>,
  env: NodeJS.ProcessEnv | undefined,
): ServiceConfig<S> {
  const shape = {
    ...platformConfig,
    ...(definition.database ? { ...databaseConfig, ...eventsConfig } : {}),
    ...definition.config,
  };
  return withRole(loadConfig<z.ZodRawShape>(shape, env, definition.together) as ServiceConfig<S>);
}

/** @throws ConfigError when there are no files for what is to be done with them */
function openTls(config: PlatformConfig, logger: Logger): TlsFiles | undefined {
  const tls = TlsFiles.open(config, logger);
  const needing = [config.SPIFFE_SERVICES && "SPIFFE_SERVICES", config.HTTP_TLS !== "plain" && "HTTP_TLS"].filter(
    Boolean,
  );
  if (tls || needing.length === 0) return tls;
  throw new ConfigError(`${needing.join(" and ")} cannot be without GRPC_TLS_CERT, GRPC_TLS_KEY and GRPC_TLS_CA`);
}

/** What a service is built from. */
interface Resources<S extends z.ZodRawShape> {
  readonly context: ServiceContext<S>;
  readonly closing: AbortController;
  readonly tls: TlsFiles | undefined;
  readonly telemetry: Telemetry;
}

/** What closes again what is opened, and where the log goes. */
interface Opening {
  readonly stack: AsyncDisposableStack;
  readonly output: NodeJS.WritableStream;
}

/** What the process says and shows of itself. */
function openLog(name: string, config: PlatformConfig, { stack, output }: Opening) {
  const { logger, repeated } = createLogger({
    name,
    level: config.LOG_LEVEL,
    format: config.LOG_FORMAT,
    stream: output,
  });
  const registry = createRegistry(name);
  countLeftOutLines(registry, repeated);
  stack.defer(() => repeated.settle(true));
  return { logger, registry };
}

/** Opens what a service is built from; the stack closes it, last opened first. */
async function openResources<S extends z.ZodRawShape>(
  definition: ServiceDefinition<S>,
  config: ServiceConfig<S>,
  { stack, output }: Opening,
): Promise<Resources<S>> {
  const name = config.SERVICE_NAME ?? definition.name;
  const { logger, registry } = openLog(name, config, { stack, output });
  stack.defer(watchSecrets(config, { everyMs: config.SECRETS_REFRESH_MS, logger }));
  const telemetry = await startTelemetry(name, config, logger);
  stack.defer(() => within(closeTimeoutMs, "sending the last spans", telemetry.shutdown()));
  const { flags } = stack.use(await openFlagsOf(config, { name, logger, registry }));
  const opened = await openDatabase(definition, config, logger);
  if (opened) stack.defer(() => within(closeTimeoutMs, "closing the database", opened.close()));
  const tokens = config.SERVICE_KEY && (await ServiceTokens.open(definition.name, config.SERVICE_KEY, logger));
  if (tokens) stack.use(tokens);
  const tls = openTls(config, logger);
  if (tls) stack.use(tls);
  const clients = new Clients({
    service: name,
    ...(tokens && { authorization: () => tokens.authorization }),
    refusal: refusalOfCallee,
    defaultTimeoutMs: config.DEFAULT_TIMEOUT_MS,
    maxMessageBytes: config.MAX_MESSAGE_BYTES,
    tls,
    useProxy: config.GRPC_USE_PROXY,
  });
  stack.defer(() => clients.close());
  const closing = new AbortController();
  const context: ServiceContext<S> = {
    config,
    logger,
    output,
    registry,
    flags,
    client: (service, address) => clients.client(service, address),
    get database(): Database {
      if (!opened) throw new Error(`${name} has no database`);
      return opened;
    },
    closing: closing.signal,
  };
  return { context, closing, tls, telemetry };
}

/** @throws StartError when their file is of no use */
async function openFlagsOf(
  { FLAGS_FILE: file }: PlatformConfig,
  rest: Omit<FlagsOptions, "file">,
): Promise<OpenedFlags> {
  try {
    return await openFlags({ file, ...rest });
  } catch (error) {
    throw new StartError((error as Error).message);
  }
}

/** What callers prove who they are with; undefined when nobody is asked. */
function credentialsOf(
  config: PlatformConfig,
  client: ServiceContext<z.ZodRawShape>["client"],
): Credentials | undefined {
  const { TOKEN_ISSUERS = [], SPIFFE_SERVICES, SERVICE_KEYS, IDENTITY_ADDRESS } = config;
  if (TOKEN_ISSUERS.length === 0 && !SPIFFE_SERVICES) return undefined;
  const tokens = new TokenVerifier([...TOKEN_ISSUERS.map(toIssuer), ...serviceIssuers(SERVICE_KEYS)]);
  if (!IDENTITY_ADDRESS) return tokens;
  const identity = client(IdentityService, IDENTITY_ADDRESS);
  // What many calls wait for is in the trace of none, and does not end with the first of them.
  const exchange = (apiKey: string) =>
    traceContext.with(ROOT_CONTEXT, () =>
      runInContext({}, () => identity.exchangeApiKey({ apiKey }, { timeoutMs: exchangeTimeoutMs })),
    );
  return new ExchangedKeys(tokens, async (apiKey) => {
    try {
      return (await exchange(apiKey)).accessToken;
    } catch (error) {
      throw ConnectError.from(error).code === Code.Unauthenticated ? credentialRefused("invalid", error) : error;
    }
  });
}

/** What a process says and shows of itself changes while it runs. */
function reloadsOf(logger: Logger, telemetry: Telemetry): Reloads {
  return {
    LOG_LEVEL: (level) => {
      logger.level = level;
    },
    OTEL_TRACES_SAMPLER_ARG: (ratio) => telemetry.keep(ratio),
  };
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
  const { context, closing, tls, telemetry } = await openResources(definition, config, { stack, output });
  const parts = await definition.build(context);
  stack.defer(() => within(closeTimeoutMs, "stopping the background work", parts.stop?.() ?? Promise.resolve()));
  const checks = [
    ...(definition.database ? [() => context.database.ping()] : []),
    ...(parts.ready ? [parts.ready] : []),
  ];
  const { logger, registry } = context;
  const credentials = parts.credentials ?? credentialsOf(config, context.client);
  // Certificates are of services: where they are all that is known, people cannot be asked.
  const onlyServices = !parts.credentials && !config.TOKEN_ISSUERS;
  const served = { ...parts, onlyServices, ...(credentials && { credentials }) };
  const faces: Faces = await openFaces({
    ...served,
    name: definition.name,
    checks,
    config,
    tls,
    logger,
    registry,
    closing,
  });
  stack.defer(() => faces.drain());
  const reloads = { ...reloadsOf(logger, telemetry), ...faces.reloads, ...parts.reloads };
  const { CONFIG_FILE: file, SECRETS_REFRESH_MS: everyMs } = config;
  const read = () => readConfig(definition, env);
  if (file) stack.defer(watchConfigFile({ file, everyMs, config, read, reloads, logger }));
  await parts.start?.();
  if (definition.database && definition.database.requestIds !== false && config.REQUEST_ID_RETENTION_MS) {
    const forgetting = forgetRequestIds(context.database, config.REQUEST_ID_RETENTION_MS, context.logger);
    stack.defer(() => forgetting.stop());
  }
  const { grpcPort, httpPort, adminPort } = faces;
  const admin = adminPort === undefined ? {} : { "server.admin.port": adminPort };
  logger.info("listening", { "server.grpc.port": grpcPort, "server.http.port": httpPort, ...admin });
  const opened = stack.move();
  return { grpcPort, httpPort, adminPort, logger, drain: () => opened.disposeAsync() };
}
