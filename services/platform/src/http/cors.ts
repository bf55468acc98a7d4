import type { IncomingMessage, ServerResponse } from "node:http";
import { cors } from "@connectrpc/connect";
import type { Handler } from "./rpc.ts";

/** What scripts may send besides what the protocols need. */
const sent = ["authorization", "baggage", "if-none-match", "traceparent", "tracestate", "x-request-id"];
/** What scripts may read besides what the protocols need. */
const read = [
  ...["connect-protocol-version", "etag", "retry-after", "x-request-id"],
  ...["ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"],
];
/** How long browsers may remember the answer to a preflight, in seconds; none does so for longer. */
const maxAgeSeconds = 7_200;

const allowedHeaders = [...cors.allowedHeaders, ...sent].join(", ");
const exposedHeaders = [...cors.exposedHeaders, ...read].join(", ");

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
}

function answerPreflight(response: ServerResponse, allowed: boolean): void {
  if (allowed) {
    response.setHeader("access-control-allow-methods", cors.allowedMethods.join(", "));
    response.setHeader("access-control-allow-headers", allowedHeaders);
    response.setHeader("access-control-max-age", maxAgeSeconds);
  }
  response.writeHead(204).end();
}

/**
 * Lets scripts of web pages call. A page of another origin gets the answers of any other client, which its browser does not
 * show it: this protects users of browsers, not the service.
 *
 * @param origins exactly as browsers send them; without any, nothing is added
 */
export function forPages(origins: readonly string[], next: Handler): Handler {
  if (origins.length === 0) return next;
  const known = new Set(origins);
  return (request, response) => {
    const { origin } = request.headers;
    const allowed = origin !== undefined && known.has(origin);
    // Whoever keeps answers must not give that of one page to another.
    response.setHeader("vary", "origin");
    if (allowed) {
      response.setHeader("access-control-allow-origin", origin);
      response.setHeader("access-control-expose-headers", exposedHeaders);
    }
    if (isPreflight(request)) answerPreflight(response, allowed);
    else next(request, response);
  };
}
