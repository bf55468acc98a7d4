import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { Code, ConnectError } from "@connectrpc/connect";
import { makeUsable } from "#platform/incoming-headers.ts";
import { listenOn } from "#platform/listen.ts";
import type { TlsFiles } from "#platform/tls/tls-files.ts";
import { type Handler, refuse } from "./rpc.ts";

/** TLS on a port of HTTP. */
export interface HttpTls {
  readonly files: TlsFiles;
  /** Whether a caller without a certificate of our authority is refused. He is asked for one anyway, and may have none. */
  readonly mutual: boolean;
}

/** What a port of HTTP answers, and how. */
export interface HttpServerOptions {
  /** By path. */
  readonly known: ReadonlyMap<string, Handler>;
  /** By the first part of the path. */
  readonly pages?: Readonly<Record<string, Handler>>;
  /** Everything else. */
  readonly otherwise: Handler;
  /** How long a connection may rest between two requests, in milliseconds. */
  readonly keepAliveTimeoutMs: number;
  /** How long what is answered may stay unread, in milliseconds. */
  readonly unreadMs: number;
  /** Plain text without it. */
  readonly tls?: HttpTls | undefined;
}

/** How long a request may take to arrive, in milliseconds: calls have their own deadlines. */
const requestTimeoutMs = 60_000;

/**
 * What is said with every answer, for browsers: that it is what its type says, no page to be shown or framed, and nobody's to load but
 * who may call (`HTTP_CORS_ORIGINS`).
 */
const forBrowsers = new Map([
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
  ["cross-origin-resource-policy", "same-origin"],
  ["referrer-policy", "no-referrer"],
  ["x-content-type-options", "nosniff"],
]);

/** Said besides by the port that speaks TLS: for a year, to come by nothing else to this name and those below it (RFC 6797). Who ends TLS in front says it himself. */
const byTlsAlone = ["strict-transport-security", "max-age=31536000; includeSubDomains"] as const;

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

/** So many headers are taken; no client of ours and no gateway sends half of them. */
const mostHeaders = 100;

function refuseHeaders(response: ServerResponse): void {
  const message = `the request has more than ${mostHeaders} headers`;
  refuse(response, 431, new ConnectError(message, Code.ResourceExhausted));
}

/** Ends a connection whose client does not read what it asked for. A stream that has nothing to say is left alone. */
function endUnread({ socket }: IncomingMessage, response: ServerResponse, unreadMs: number): void {
  response.setTimeout(unreadMs, () => {
    if (socket.writableLength > 0) response.destroy();
  });
}

/** A listener that uses renewed certificates for new connections; those that are open live on. */
function listenerOf({ tls, keepAliveTimeoutMs }: HttpServerOptions, answer: RequestListener): Server {
  const timeouts = { requestTimeout: requestTimeoutMs, keepAliveTimeout: keepAliveTimeoutMs };
  if (!tls) return createServer(timeouts, answer);
  const { files, mutual } = tls;
  // biome-ignore lint/plugin/tls: callers may have no certificate where HTTP_TLS is tls; who shows one is judged by it
  const asked = { requestCert: true, rejectUnauthorized: mutual };
  const server = createSecureServer({ ...timeouts, ...asked, ...files.material }, answer);
  files.onChange((material) => server.setSecureContext(material));
  return server;
}

/** A port of HTTP. */
export class HttpServer {
  readonly #server: Server;
  #draining = false;

  constructor(options: HttpServerOptions) {
    const pages = new Map(Object.entries(options.pages ?? {}));
    const said = new Map([...forBrowsers, ...(options.tls ? [byTlsAlone] : [])]);
    this.#server = listenerOf(options, (request, response) => {
      response.setHeaders(said);
      if (this.#draining) response.setHeader("connection", "close");
      discardRest(request);
      endUnread(request, response, options.unreadMs);
      if (request.rawHeaders.length > mostHeaders * 2) return refuseHeaders(response);
      makeUsable(request.headers);
      const path = request.url?.split("?", 1)[0] ?? "";
      const handler = options.known.get(path) ?? pages.get(path.split("/", 2)[1] ?? "") ?? options.otherwise;
      handler(request, response);
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
