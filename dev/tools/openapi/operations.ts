// The calls of a service as paths: POST for each, and GET for those without side effects. A stream is a POST whose messages stand in frames.
import type { DescMethod, DescService, JsonObject } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { commentOf } from "../comment.ts";
import { headersOf, type StreamEnd, sharedAnswers } from "./errors.ts";
import type { Schema } from "./rules.ts";

/** What is known of a call. */
export interface Call {
  readonly method: DescMethod;
  /** Its errors by their HTTP status, when it is no stream. */
  readonly refusals: Schema;
  /** How it ends, when it is a stream. */
  readonly end: StreamEnd;
  readonly example: JsonObject;
  /** Who may make it, as a sentence. */
  readonly callers: string;
  /** Whether it may be made without a credential. */
  readonly open: boolean;
  /** The schemas of the request and the answer. */
  readonly input: Schema;
  readonly output: Schema;
}

/** Requests that are streams are for gRPC alone: HTTP/1.1 has none that is answered while it lasts. */
export function isShown({ methodKind }: DescMethod): boolean {
  return methodKind === "unary" || methodKind === "server_streaming";
}

function parameters(...names: readonly string[]): Schema[] {
  return names.map((name) => ({ $ref: `#/components/parameters/${name}` }));
}

function firstSentence(text: string): string {
  return /^.*?[.](?= |$)/s.exec(text)?.[0] ?? text;
}

/** What both ways to make a call have in common. */
function common({ method, callers, open }: Call, verb: string): Schema {
  const comment = commentOf(method);
  return {
    tags: [method.parent.typeName],
    operationId: `${method.parent.typeName}.${method.name}${verb === "get" ? ".get" : ""}`,
    summary: firstSentence(comment.split("\n")[0] ?? "").replace(/\.$/, ""),
    description: `${comment}\n\n${callers}`,
    security: open ? [] : [{ [schemeName]: [] }],
  };
}

function answer({ method, output }: Call, headers: Schema = {}): Schema {
  return {
    description: commentOf(method.output) || "The answer.",
    headers: { ...headers, ...headersOf("RateLimit", "RateLimit-Policy") },
    content: { "application/json": { schema: output } },
  };
}

function post(call: Call): Schema {
  const { input, example, refusals } = call;
  return {
    ...common(call, "post"),
    parameters: parameters("timeout", "protocol", "traceparent", "baggage"),
    requestBody: { required: true, content: { "application/json": { schema: input, example } } },
    responses: { 200: answer(call), ...refusals },
  };
}

const framesType = "application/connect+json";

/** A body of frames. OpenAPI has no words for these, so what stands in them is said by their first byte, in an extension. */
function frames(messages: Readonly<Record<number, Schema>>): Schema {
  return { [framesType]: { schema: { type: "string", format: "binary" }, "x-frames": messages } };
}

/** What makes a stream by hand, in a shell that is told by `$URL` where the service is, and by `$KEY` what proves who calls. */
function command({ method, example, open }: Call): string {
  const message = JSON.stringify(example);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(message));
  const head = [0, ...length].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  const proof = open ? "" : ` -H "authorization: Bearer $KEY"`;
  const quoted = message.replaceAll("'", "'\\''");
  return `printf '${head}%s' '${quoted}' |
  curl -sN -H 'content-type: ${framesType}'${proof} --data-binary @- "$URL${addressOf(method)}"`;
}

function stream(call: Call): Schema {
  const { method, input, output, end } = call;
  const { description, ...rest } = common(call, "post");
  const by = `By hand: \`${method.input.name}\` in one frame.\n\n\`\`\`sh\n${command(call)}\n\`\`\``;
  return {
    ...rest,
    description: `${description}\n\n${by}`,
    parameters: parameters("timeout", "protocol", "traceparent", "baggage"),
    requestBody: { required: true, content: frames({ 0: input }) },
    responses: {
      200: {
        description: `Frames, each with one \`${method.output.name}\`; the last one says how the call ended.\n\n${end.told}`,
        content: frames({ 0: output, 2: end.schema }),
      },
      ...sharedAnswers,
    },
  };
}

const kept = headersOf("ETag", "Cache-Control", "Vary");

function get(call: Call): Schema {
  const { method, input, example, refusals } = call;
  const message = {
    name: "message",
    in: "query",
    required: true,
    description: commentOf(method.input),
    content: { "application/json": { schema: input, example } },
  };
  return {
    ...common(call, "get"),
    parameters: [message, ...parameters("encoding", "connect", "ifNoneMatch", "timeout", "traceparent", "baggage")],
    responses: {
      200: answer(call, kept),
      304: { description: "What the client has is still right.", headers: kept },
      ...refusals,
    },
  };
}

function addressOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

/** The path of a call and what can be done there. */
export function pathOf(call: Call): [path: string, operations: Schema] {
  const { method } = call;
  if (method.methodKind !== "unary") return [addressOf(method), { post: stream(call) }];
  const reads = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  return [addressOf(method), { post: post(call), ...(reads ? { get: get(call) } : {}) }];
}

/** What a service is for. */
export function tagOf(service: DescService): Schema {
  return { name: service.typeName, description: commentOf(service) };
}

function header(name: string, description: string, schema: Schema): Schema {
  return { name, in: "header", description, schema };
}

/** What the only way to show a credential is called in the document. */
const schemeName = "bearer";

/** How a caller proves who it is. */
export const securitySchemes: Readonly<Record<string, Schema>> = {
  [schemeName]: {
    type: "http",
    scheme: "bearer",
    description: "An access token, or an API key as it is. Each call says whose it may be.",
  },
};

/** Parameters that many calls have. */
export const sharedParameters: Readonly<Record<string, Schema>> = {
  encoding: {
    name: "encoding",
    in: "query",
    required: true,
    description: "How `message` is written.",
    schema: { type: "string", enum: ["json"] },
  },
  connect: {
    name: "connect",
    in: "query",
    description: "The version of Connect's protocol; need not be said.",
    schema: { type: "string", enum: ["v1"] },
  },
  timeout: header(
    "Connect-Timeout-Ms",
    "How long the caller waits, in milliseconds. When it is not said, 30 s, and a stream lasts.",
    {
      type: "integer",
      minimum: 1,
      maximum: 9_999_999_999,
    },
  ),
  protocol: header("Connect-Protocol-Version", "The version of Connect's protocol; need not be said.", {
    type: "string",
    enum: ["1"],
  }),
  ifNoneMatch: header("If-None-Match", "The tags of answers that the client has.", { type: "string" }),
  traceparent: header("Traceparent", "W3C trace context: the call goes on in the caller's trace.", { type: "string" }),
  baggage: header("Baggage", "W3C baggage. `user.id` is who is named in the audit log.", { type: "string" }),
};

/** Headers of answers that may be kept, and of those that want a credential. */
export const sharedHeaders: Readonly<Record<string, Schema>> = {
  "WWW-Authenticate": {
    description: "`Bearer` when a credential is missing; with `error` when it is refused.",
    schema: { type: "string" },
  },
  ETag: {
    description: "The tag of the answer, for `If-None-Match`.",
    schema: { type: "string", pattern: '^"[^"]+"$' },
  },
  "Cache-Control": {
    description: "The client may keep the answer, a shared cache may not, and has to ask before each use.",
    schema: { type: "string", const: "private, no-cache" },
  },
  Vary: { description: "What the answer depends on besides its address.", schema: { type: "string" } },
  RateLimit: {
    description: "What the caller has left: calls that may follow at once (`r`), seconds until all are back (`t`).",
    schema: { type: "string", examples: ['"write";r=999;t=1'] },
  },
  "RateLimit-Policy": {
    description: "How often calls of this kind may be made: so many (`q`) in so many seconds (`w`).",
    schema: { type: "string", examples: ['"write";q=1000;w=1'] },
  },
  "X-RateLimit-Limit": { description: "`q` of `RateLimit-Policy`.", schema: { type: "integer" } },
  "X-RateLimit-Remaining": { description: "`r` of `RateLimit`.", schema: { type: "integer" } },
  "X-RateLimit-Reset": { description: "`t` of `RateLimit`, in seconds from now.", schema: { type: "integer" } },
  "Retry-After": { description: "After how many seconds a call may be made again.", schema: { type: "integer" } },
};

/** Answers that all calls have. */
export const sharedResponses: Readonly<Record<string, Schema>> = {
  431: { description: "The headers, with a query among them, are longer than 16 KiB. There is no body." },
  415: {
    description: "The content type or the encoding is not served; `application/json` is.",
    content: { "application/json": { schema: { $ref: "#/components/schemas/connect.Error" } } },
  },
};
