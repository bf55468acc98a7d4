import { isIPv6 } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Registry } from "prom-client";
import { accessFaults } from "#platform/authorization/access-rule.ts";
import { ServiceCertificates } from "#platform/authorization/service-certificates.ts";
import type { Credentials } from "#platform/caller.ts";
import type { PlatformConfig } from "#platform/config.ts";
import { retryInfo } from "#platform/errors.ts";
import { addReflection } from "#platform/grpc/reflection.ts";
import { GrpcServer } from "#platform/grpc/server.ts";
import { apiDocs } from "#platform/http/api-docs.ts";
import { HttpPeers } from "#platform/http/certified-peers.ts";
import { forPages } from "#platform/http/cors.ts";
import { healthPages } from "#platform/http/health-pages.ts";
import { Readiness, type ReadinessCheck } from "#platform/http/readiness.ts";
import { type Handler, type RpcOptions, refuse, rpcHandler } from "#platform/http/rpc.ts";
import { HttpServer } from "#platform/http/server.ts";
import { InFlight, type InFlightLimits } from "#platform/interceptors/in-flight.ts";
import { Limits } from "#platform/interceptors/limits.ts";
import { serverInterceptors } from "#platform/interceptors/server.ts";
import { StreamDrain } from "#platform/interceptors/stream-drain.ts";
import { ClientAddresses } from "#platform/limits/client-address.ts";
import { LimitMetrics } from "#platform/limits/limit-metrics.ts";
import type { ValkeyLedger } from "#platform/limits/valkey-ledger.ts";
import type { Logger } from "#platform/log/logger.ts";
import { CallMetrics } from "#platform/metrics/metrics.ts";
import type { ServiceRegistration } from "#platform/registration.ts";
import type { TlsFiles } from "#platform/tls/tls-files.ts";
import { tracing } from "#platform/trace/spans.ts";
import type { Reloads } from "./config-file.ts";
import { bind, StartError, within } from "./startup.ts";

/** What both faces serve, and how. */
export interface FacesOptions {
  /** The service, whose replicas share limits. */
  readonly name: string;
  readonly services: readonly ServiceRegistration[];
  /** What the HTTP face answers besides, by the first part of the path. */
  readonly pages?: Readonly<Record<string, Handler>>;
  readonly checks: readonly ReadinessCheck[];
  /** What callers prove who they are with; without it nobody is asked. */
  readonly credentials?: Credentials | undefined;
  /** Whether people are not asked, and only calls that are for services alone need a proof; not by default. */
  readonly onlyServices?: boolean;
  readonly config: PlatformConfig;
  /** Plain text without it. */
  readonly tls?: TlsFiles | undefined;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Aborted when calls that wait for something should wait no longer, because the process stops. */
  readonly closing: AbortController;
}

/** The listeners of a process. */
export interface Faces {
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Of health and metrics; undefined where they are on the HTTP port. */
  readonly adminPort: number | undefined;
  /** Takes other bounds while it runs. */
  readonly reloads: Reloads;
  /** Not ready, listeners closed, calls in flight finished. */
  drain(): Promise<void>;
}

/** After the last call has ended, how long connections may take to close by themselves; milliseconds. */
const connectionsTimeoutMs = 500;
/** When callers of a stream that ends because we stop should come back: another replica is there at once. */
const streamRetryMs = 100;

function limitsOf(config: PlatformConfig): InFlightLimits {
  return {
    caller: config.MAX_INFLIGHT,
    saga: config.MAX_INFLIGHT_SAGA,
    operator: config.MAX_INFLIGHT_OPERATOR,
    waiting: config.MAX_WAITING,
  };
}

/** Where the replicas tell each other how often callers have called; undefined when there is no such place. */
async function openLedger({ name, config, logger }: FacesOptions): Promise<ValkeyLedger | undefined> {
  const { RATE_LIMIT_STORE_URL: url, RATE_LIMIT_STORE_PASSWORD: password } = config;
  if (!url) return undefined;
  // Its client is not loaded by a process that counts for itself.
  const { ValkeyLedger } = await import("#platform/limits/valkey-ledger.ts");
  return new ValkeyLedger({ url, password, service: name, logger });
}

/** From where callers call; it is said once when somebody else than our proxies says for whom it calls. */
function addressesOf({ config, logger }: FacesOptions): ClientAddresses {
  return new ClientAddresses(config.TRUSTED_PROXIES, config.PROXY_HEADER, (peer) => {
    logger.warn(
      `${peer} says for whom it calls (${config.PROXY_HEADER}), and TRUSTED_PROXIES does not name it: all who come through it count as one caller`,
    );
  });
}

/** How often callers may call. */
function openLimits(
  { config, registry }: FacesOptions,
  ledger: ValkeyLedger | undefined,
  addresses: ClientAddresses,
): Limits {
  const metrics = new LimitMetrics(registry, ledger);
  const quotas = {
    read: config.RATE_LIMIT_READ,
    write: config.RATE_LIMIT_WRITE,
    sensitive: config.RATE_LIMIT_SENSITIVE,
    service: config.RATE_LIMIT_SERVICES,
  };
  const replicas = config.RATE_LIMIT_REPLICAS;
  return new Limits({
    quotas,
    ledger,
    replicas,
    addresses,
    mostStreams: config.MAX_STREAMS_PER_CALLER,
    onDecision: (decision) => metrics.decided(decision),
  });
}

/** Bounds that change while the process runs. */
function reloadsOf(inFlight: InFlight, limits: Limits): Reloads {
  return {
    MAX_INFLIGHT: (calls) => inFlight.resize("caller", calls),
    MAX_INFLIGHT_SAGA: (calls) => inFlight.resize("saga", calls),
    MAX_INFLIGHT_OPERATOR: (calls) => inFlight.resize("operator", calls),
    MAX_WAITING: (calls) => inFlight.resize("waiting", calls),
    RATE_LIMIT_READ: (quota) => limits.use("read", quota),
    RATE_LIMIT_WRITE: (quota) => limits.use("write", quota),
    RATE_LIMIT_SENSITIVE: (quota) => limits.use("sensitive", quota),
    RATE_LIMIT_SERVICES: (quota) => limits.use("service", quota),
  };
}

const nothingThere: Handler = (_, response) => {
  const message = "there is nothing at this path; this port has /healthz, /readyz and /metrics";
  refuse(response, 404, new ConnectError(message, Code.Unimplemented));
};

/** The port of HTTP, and that of health and metrics where it is another one. */
function httpServers({ config, ...options }: FacesOptions, rpc: RpcOptions, readiness: Readiness) {
  const { logger, registry, tls, services } = options;
  const keepAliveTimeoutMs = config.HTTP_KEEP_ALIVE_TIMEOUT_MS;
  const health = healthPages({ readiness, metrics: registry, logger });
  const unreadMs = config.UNREAD_TIMEOUT_MS;
  const isSeparate = config.ADMIN_PORT !== undefined;
  const descriptors = services.map(({ service }) => service);
  const isAsked = options.credentials !== undefined && !options.onlyServices;
  const docs = config.HTTP_API_DOCS ? apiDocs(descriptors, isAsked) : [];
  const http = new HttpServer({
    known: new Map([...(isSeparate ? [] : health), ...docs]),
    pages: options.pages ?? {},
    otherwise: forPages(config.HTTP_CORS_ORIGINS, rpcHandler(rpc)),
    keepAliveTimeoutMs,
    unreadMs,
    tls: tls && config.HTTP_TLS !== "plain" ? { files: tls, mutual: config.HTTP_TLS === "mutual" } : undefined,
  });
  const admin = new HttpServer({ known: health, otherwise: nothingThere, keepAliveTimeoutMs, unreadMs });
  return { http, admin: isSeparate ? admin : undefined };
}

class OpenFaces implements Faces {
  grpcPort = 0;
  httpPort = 0;
  adminPort: number | undefined;
  readonly reloads: Reloads;
  readonly #options: FacesOptions;
  readonly #ledger: ValkeyLedger | undefined;
  readonly #inFlight: InFlight;
  readonly #streams = new StreamDrain();
  readonly #readiness: Readiness;
  readonly #grpc: GrpcServer;
  readonly #http: HttpServer;
  /** Where health and metrics are when they have a port of their own. */
  readonly #admin: HttpServer | undefined;

  constructor(options: FacesOptions, ledger: ValkeyLedger | undefined) {
    const { config, logger, registry, services, checks } = options;
    this.#options = options;
    this.#ledger = ledger;
    const metrics = new CallMetrics(registry, () => this.#inFlight.counts);
    this.#inFlight = new InFlight(limitsOf(config), (kind) => metrics.refused(kind));
    const addresses = addressesOf(options);
    const limits = openLimits(options, ledger, addresses);
    this.reloads = reloadsOf(this.#inFlight, limits);
    const descriptors = services.map((registration) => registration.service);
    const names = descriptors.map((service) => service.typeName);
    this.#readiness = new Readiness({ checks, services: names, logger, everyMs: config.READINESS_INTERVAL_MS });
    const interceptors = serverInterceptors({
      services: descriptors,
      logger,
      metrics,
      inFlight: this.#inFlight,
      streamDrain: this.#streams,
      credentials: options.credentials,
      onlyServices: options.onlyServices ?? false,
      limits,
      addresses,
      defaultTimeoutMs: config.DEFAULT_TIMEOUT_MS,
      maxMessageBytes: config.MAX_MESSAGE_BYTES,
      tracing: tracing(),
    });
    const certificates = config.SPIFFE_SERVICES && new ServiceCertificates(config.SPIFFE_SERVICES);
    const common = { services, interceptors, maxMessageBytes: config.MAX_MESSAGE_BYTES };
    this.#grpc = new GrpcServer({
      ...common,
      defaultTimeoutMs: config.DEFAULT_TIMEOUT_MS,
      unreadMs: config.UNREAD_TIMEOUT_MS,
      maxConnectionAgeMs: config.MAX_CONNECTION_AGE_MS,
      tls: options.tls,
      certificates,
    });
    addReflection(this.#grpc.server, descriptors);
    this.#readiness.addTo(this.#grpc.server);
    const peers = certificates && new HttpPeers(certificates);
    const rpc = { ...common, logger, apiDocs: config.HTTP_API_DOCS, peers };
    const { http, admin } = httpServers(options, rpc, this.#readiness);
    this.#http = http;
    this.#admin = admin;
  }

  async open(): Promise<this> {
    const { LISTEN_HOST: host, GRPC_PORT, HTTP_PORT, ADMIN_PORT = 0 } = this.#options.config;
    const written = isIPv6(host) ? `[${host}]` : host;
    try {
      this.grpcPort = await bind("gRPC", `${written}:${GRPC_PORT}`, () => this.#grpc.listen(host, GRPC_PORT));
      this.httpPort = await bind("HTTP", `${written}:${HTTP_PORT}`, () => this.#http.listen(host, HTTP_PORT));
      const admin = this.#admin;
      if (admin) {
        const listen = () => admin.listen(host, ADMIN_PORT);
        this.adminPort = await bind("health and metrics", `${written}:${ADMIN_PORT}`, listen);
      }
    } catch (error) {
      this.#grpc.close();
      void this.#http.drain();
      await this.#ledger?.[Symbol.asyncDispose]();
      throw error;
    }
    await this.#readiness.start();
    return this;
  }

  async drain(): Promise<void> {
    const { config, logger, closing } = this.#options;
    this.#readiness.drain();
    await pause(config.DRAIN_PAUSE_MS);
    const closed = Promise.all([this.#grpc.drain(), this.#http.drain()]);
    const reason = new ConnectError("the service stops", Code.Unavailable);
    reason.details = [retryInfo(streamRetryMs)];
    // What ends by itself gets a part of the time to do so.
    const ending = setTimeout(() => {
      closing.abort(reason);
      this.#streams.end(reason);
    }, config.DRAIN_TIMEOUT_MS / 4);
    try {
      await within(config.DRAIN_TIMEOUT_MS, "calls in flight", this.#inFlight.idle());
      await within(connectionsTimeoutMs, "connections", closed);
    } catch (error) {
      logger.warn(`closing what is left: ${error instanceof Error ? error.message : error}`, {
        calls: this.#inFlight.count,
      });
    } finally {
      clearTimeout(ending);
      this.#grpc.close();
      this.#http.close();
      // Last: until now it says that the process ends.
      void this.#admin?.drain();
      this.#admin?.close();
      await this.#ledger?.[Symbol.asyncDispose]();
    }
  }
}

/**
 * Opens the listeners; the process is not ready before its checks have passed once.
 *
 * @throws StartError when a listener cannot be opened, and when the contract does not say of a method who may call it
 */
export async function openFaces(options: FacesOptions): Promise<Faces> {
  const faults = accessFaults(options.services.map(({ service }) => service));
  if (faults.length > 0) throw new StartError(faults.join("; "));
  return new OpenFaces(options, await openLedger(options)).open();
}
