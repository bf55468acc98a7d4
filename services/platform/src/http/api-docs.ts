// The contract for whoever calls: as an OpenAPI document, and as a page on which a person can try calls.
import { createHash } from "node:crypto";
// biome-ignore lint/plugin/files: pages from a list of ours
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { openApiOf } from "./open-api.ts";
import { isKept } from "./revalidation.ts";
import { type Handler, refuse } from "./rpc.ts";

/** What is served at a path. */
interface Page {
  readonly type: string;
  read(): Promise<Buffer>;
}

/** Everything comes from here, and calls go nowhere else. Swagger UI has its icons in its style sheet. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const index = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Calls of this service</title>
    <link rel="stylesheet" href="swagger-ui.css">
    <link rel="icon" href="favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="swagger-ui-bundle.js"></script>
    <script src="start.js"></script>
  </body>
</html>
`;

/** No validator of its makers is asked about the document. */
const start = `SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
`;

function text(type: string, content: string): Page {
  const bytes = Buffer.from(content);
  return { type, read: async () => bytes };
}

function fileOf(type: string, name: string): Page {
  return { type, read: () => readFile(fileURLToPath(import.meta.resolve(`swagger-ui-dist/${name}`))) };
}

async function send(page: Page, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const bytes = await page.read();
  const tag = `"${createHash("sha256").update(bytes).digest("base64url")}"`;
  response.setHeader("etag", tag);
  response.setHeader("cache-control", "no-cache");
  if (isKept(request.headers["if-none-match"], tag)) {
    response.writeHead(304).end();
    return;
  }
  const headers = {
    "content-type": page.type,
    "content-length": bytes.length,
    "content-security-policy": policy,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  };
  response.writeHead(200, headers).end(bytes);
}

function reading(serve: Handler): Handler {
  return (request, response) => {
    if (request.method === "GET" || request.method === "HEAD") return serve(request, response);
    response.setHeader("allow", "GET, HEAD");
    refuse(response, 405, new ConnectError(`there is only something to read here`, Code.Unimplemented));
  };
}

function handlerOf(page: Page): Handler {
  return reading((request, response) => {
    send(page, request, response).catch(() => response.destroy());
  });
}

/**
 * Where the contract of some services is served, and by what.
 *
 * @param asks whether callers are asked for a credential where the contract wants one
 */
export function apiDocs(services: readonly DescService[], asks: boolean): ReadonlyMap<string, Handler> {
  const pages: readonly (readonly [path: string, page: Page])[] = [
    ["/openapi.json", text("application/json", openApiOf(services, asks))],
    ["/docs/", text("text/html; charset=utf-8", index)],
    ["/docs/start.js", text("text/javascript; charset=utf-8", start)],
    ["/docs/swagger-ui.css", fileOf("text/css; charset=utf-8", "swagger-ui.css")],
    ["/docs/swagger-ui-bundle.js", fileOf("text/javascript; charset=utf-8", "swagger-ui-bundle.js")],
    ["/docs/favicon-32x32.png", fileOf("image/png", "favicon-32x32.png")],
  ];
  const toPage = reading((_, response) => response.writeHead(308, { location: "docs/" }).end());
  return new Map([...pages.map(([path, page]) => [path, handlerOf(page)] as const), ["/docs", toPage]]);
}
