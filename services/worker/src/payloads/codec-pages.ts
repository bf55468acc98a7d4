import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import type { Payload, PayloadCodec } from "@temporalio/common";
import { z } from "zod";
import type { Handler } from "#platform/http/rpc.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { CodecReader, CodecRight, CodecTokens } from "./codec-tokens.ts";

/** What the pages work with. */
export interface CodecPagesOptions {
  readonly codec: PayloadCodec;
  readonly tokens: CodecTokens;
  readonly namespace: string;
  /** Web pages that may ask: those of the Temporal UI, as browsers say their origin. */
  readonly origins: readonly string[];
  readonly maxBytes: number;
  readonly logger: Pick<Logger, "info" | "warn">;
}

/** Why a request is refused: a sentence and a status of HTTP. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const base64 = z.base64().transform((encoded) => new Uint8Array(Buffer.from(encoded, "base64")));
/** What Temporal's own tools send and want: https://docs.temporal.io/production-deployment/data-encryption#codec-server-setup. */
const body = z.object({
  payloads: z.array(z.object({ metadata: z.record(z.string(), base64).default({}), data: base64.optional() })),
});

const path = /^\/codec(?:\/([^/]+))?\/(decode|encode)$/;
const loopback: ReadonlySet<string | undefined> = new Set(["127.0.0.1", "::1", "::ffff:127.0.0.1"]);

/**
 * Shows what is encrypted to those whose token is known: `POST /codec/decode`, with `Authorization: Bearer …`. On this machine the token may
 * stand in the path, `/codec/<token>/decode`, because a Temporal UI without TLS sends none.
 */
export function codecPages(options: CodecPagesOptions): Handler {
  return (request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      if (response.destroyed) return;
      const refusal = error instanceof Refusal ? error : new Refusal(400, "the payloads cannot be read");
      if (error instanceof Refusal) options.logger.info(`payloads: refused with ${error.status}, ${error.message}`);
      else options.logger.warn("payloads could not be shown", { err: error });
      send(response, refusal.status, { message: refusal.message });
    });
  };
}

async function answer(options: CodecPagesOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { origin, "x-namespace": namespace } = request.headers;
  response.setHeader("vary", "origin");
  if (origin !== undefined) {
    if (!options.origins.includes(origin)) throw new Refusal(403, "this page may not ask (CODEC_UI_ORIGINS)");
    response.setHeader("access-control-allow-origin", origin);
  }
  const [, token, right] = path.exec(request.url?.split("?", 1)[0] ?? "") ?? [];
  if (!right) throw new Refusal(404, "there is nothing at this path");
  if (request.method === "OPTIONS") return allow(response);
  if (request.method !== "POST") throw new Refusal(405, "ask by POST");
  const reader = readerOf(options.tokens, request, token);
  if (!reader) {
    response.setHeader("www-authenticate", "Bearer");
    throw new Refusal(401, "say who you are: Authorization: Bearer <token>");
  }
  if (!reader.rights.has(right as CodecRight)) throw new Refusal(403, `${reader.name} may not ${right}`);
  // Temporal's command says none when it was not told one.
  if (namespace && namespace !== options.namespace)
    throw new Refusal(403, "the payloads of this namespace are not read here");
  const payloads = await readPayloads(request, options.maxBytes);
  const done = await options.codec[right as CodecRight](payloads);
  options.logger.info(`payloads: ${right} ${done.length}`, { "user.id": reader.name });
  send(response, 200, { payloads: done.map(toJson) });
}

function allow(response: ServerResponse): void {
  response.setHeader("access-control-allow-methods", "POST");
  response.setHeader("access-control-allow-headers", "authorization, content-type, x-namespace");
  response.setHeader("access-control-max-age", 600);
  response.writeHead(204).end();
}

function readerOf(tokens: CodecTokens, request: IncomingMessage, inPath: string | undefined): CodecReader | undefined {
  const [, inHeader] = /^bearer\s+(\S+)$/i.exec(request.headers.authorization ?? "") ?? [];
  const token = inHeader ?? (loopback.has(request.socket.remoteAddress) ? inPath : undefined);
  return token === undefined ? undefined : tokens.find(token);
}

async function readPayloads(request: IncomingMessage, maxBytes: number): Promise<Payload[]> {
  if (Number(request.headers["content-length"] ?? Number.POSITIVE_INFINITY) > maxBytes) {
    throw new Refusal(413, `say the length; it may be ${maxBytes} bytes`);
  }
  const { data, error } = body.safeParse(parse(await text(request)));
  if (error) throw new Refusal(400, 'send {"payloads": [{"metadata": {…}, "data": "…"}]}, bytes in base64');
  return data.payloads.map(({ metadata, data = new Uint8Array() }) => ({ metadata, data }));
}

function parse(json: string): unknown {
  try {
    // biome-ignore lint/plugin/json: within MAX_MESSAGE_BYTES, and its schema comes next
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function toJson({ metadata, data }: Payload) {
  const encode = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString("base64");
  const entries = Object.entries(metadata ?? {}).map(([name, bytes]) => [name, encode(bytes)]);
  return { metadata: Object.fromEntries(entries), data: encode(data) };
}

function send(response: ServerResponse, status: number, answer: object): void {
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  response.writeHead(status, headers).end(JSON.stringify(answer));
}
