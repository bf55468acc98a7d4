import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Registry } from "prom-client";
import { makeUsable } from "#platform/incoming-headers.ts";
import { listenOn } from "#platform/listen.ts";
import { openMetrics, openMetricsType } from "#platform/metrics/open-metrics.ts";
import { apiDocs } from "./api-docs.ts";
import { forPages } from "./cors.ts";
import type { Readiness } from "./readiness.ts";
import { type Handler, type RpcOptions, rpcHandler } from "./rpc.ts";

/** How the HTTP face serves. */
export interface HttpServerOptions extends RpcOptions {
  readonly readiness: Readiness;
  readonly metrics: Registry;
  /** How long a connection may rest between two requests, in milliseconds. */
  readonly keepAliveTimeoutMs: number;
  /** Web pages that may call, as browsers say their origin. */
  readonly corsOrigins: readonly string[];
  /** What else is answered, by the first part of the path. */
  readonly pages: Readonly<Record<string, Handler>>;
  /** Whether the contract is served, with a page to try calls on. */
  readonly apiDocs: boolean;
  /** Whether callers are asked for a credential where the contract wants one. */
  readonly asksForCredentials: boolean;
}

/** How long a request may take to arrive, in milliseconds: calls have their own deadlines. */
const requestTimeoutMs = 60_000;

/**
 * What is said with every answer, for browsers: that it is what its type says, no page to be shown or framed, and nobody's to load but
 * who may call (`HTTP_CORS_ORIGINS`). That the way is by TLS is to be said by whoever ends it.
 */
const forBrowsers = new Map([
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
  ["cross-origin-resource-policy", "same-origin"],
  ["referrer-policy", "no-referrer"],
  ["x-content-type-options", "nosniff"],
]);

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(text);
}

async function plainText(metrics: Registry): Promise<{ contentType: string; text: string }> {
  return { contentType: metrics.contentType, text: await metrics.metrics() };
}

function probes({ readiness, metrics, logger }: HttpServerOptions): ReadonlyMap<string, Handler> {
  const ready: Handler = (_, response) => {
    if (readiness.problem === undefined) sendText(response, 200, "ok\n");
    else sendText(response, 503, `${readiness.problem}\n`);
  };
  const scrape: Handler = (request, response) => {
    const open = request.headers.accept?.includes(openMetricsType);
    const answer = open ? openMetrics(metrics) : plainText(metrics);
    answer.then(
      ({ contentType, text }) => response.writeHead(200, { "content-type": contentType }).end(text),
      (error: unknown) => {
        logger.error("the metrics could not be read", { err: error });
        sendText(response, 500, "internal error\n");
      },
    );
  };
  return new Map<string, Handler>([
    ["/healthz", (_, response) => sendText(response, 200, "ok\n")],
    ["/readyz", ready],
    ["/metrics", scrape],
  ]);
}

/**
 * A request that is answered before it has arrived, for example because it is too large, is read to its end. Node would
 * stop reading instead, and the next request that the client puts on the same connection would never be answered.
 */
function discardRest(request: IncomingMessage): void {
  const { socket } = request;
  const destroy = request.destroy.bind(request);
  request.destroy = (error) => {
    // Leaving `for await` early takes the socket away first; any other end of a request keeps it.
    if (request.socket === socket || request.complete || socket.destroyed) return destroy(error);
    request.socket = socket;
    // While anybody listens for "readable", nothing flows.
    request.removeAllListeners("readable");
    return request.resume();
  };
}

/** The HTTP face: Connect, gRPC-Web and JSON, health, readiness, metrics, and what can be called. */
export class HttpServer {
  readonly #server: Server;
  #draining = false;

  constructor(options: HttpServerOptions) {
    const descriptors = options.services.map(({ service }) => service);
    const docs = options.apiDocs ? apiDocs(descriptors, options.asksForCredentials) : [];
    const known = new Map([...probes(options), ...docs]);
    const pages = new Map(Object.entries(options.pages));
    const rpc = forPages(options.corsOrigins, rpcHandler(options));
    const timeouts = { requestTimeout: requestTimeoutMs, keepAliveTimeout: options.keepAliveTimeoutMs };
    this.#server = createServer(timeouts, (request, response) => {
      response.setHeaders(forBrowsers);
      if (this.#draining) response.setHeader("connection", "close");
      discardRest(request);
      makeUsable(request.headers);
      const path = request.url?.split("?", 1)[0] ?? "";
      (known.get(path) ?? pages.get(path.split("/", 2)[1] ?? "") ?? rpc)(request, response);
    });
  }

  /** Opens the listener and returns its port. */
  listen(host: string, port: number): Promise<number> {
    return listenOn(this.#server, host, port);
  }

  /** Closes the listener and waits for the requests in flight. */
  drain(): Promise<void> {
    this.#draining = true;
    // A connection that is kept alive becomes idle after its last answer, without the server being told.
    const sweep = setInterval(() => this.#server.closeIdleConnections(), 20);
    return new Promise((resolve) => {
      this.#server.close(() => {
        clearInterval(sweep);
        resolve();
      });
    });
  }

  /** Ends everything at once. */
  close(): void {
    this.#server.closeAllConnections();
  }
}
