// The calls of a service as paths: POST for each, and GET for those without side effects.
import type { DescMethod, DescService, JsonObject } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { commentOf } from "../comment.ts";

import type { Schema } from "./rules.ts";

/** What is known of a call. */
export interface Call {
  readonly method: DescMethod;
  /** Its errors by their HTTP status. */
  readonly refusals: Schema;
  readonly example: JsonObject;
  /** Who may make it, as a sentence. */
  readonly callers: string;
  /** The schemas of the request and the answer. */
  readonly input: Schema;
  readonly output: Schema;
}

/** Streams are no JSON over HTTP: their messages stand in frames, for which OpenAPI has no words. */
export function isShown({ methodKind }: DescMethod): boolean {
  return methodKind === "unary";
}

function parameters(...names: readonly string[]): Schema[] {
  return names.map((name) => ({ $ref: `#/components/parameters/${name}` }));
}

function firstSentence(text: string): string {
  return /^.*?[.](?= |$)/s.exec(text)?.[0] ?? text;
}

/** What both ways to make a call have in common. */
function common({ method, callers }: Call, verb: string): Schema {
  const comment = commentOf(method);
  return {
    tags: [method.parent.typeName],
    operationId: `${method.parent.typeName}.${method.name}${verb === "get" ? ".get" : ""}`,
    summary: firstSentence(comment.split("\n")[0] ?? "").replace(/\.$/, ""),
    description: `${comment}\n\n${callers}`,
  };
}

function answer({ method, output }: Call, headers?: Schema): Schema {
  return {
    description: commentOf(method.output) || "The answer.",
    ...(headers ? { headers } : {}),
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

const kept: Schema = {
  ETag: { $ref: "#/components/headers/ETag" },
  "Cache-Control": { $ref: "#/components/headers/Cache-Control" },
  Vary: { $ref: "#/components/headers/Vary" },
};

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

/** The path of a call and what can be done there. */
export function pathOf(call: Call): [path: string, operations: Schema] {
  const { method } = call;
  const reads = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  return [`/${method.parent.typeName}/${method.name}`, { post: post(call), ...(reads ? { get: get(call) } : {}) }];
}

/** What a service is for, and which of its calls are not shown. */
export function tagOf(service: DescService): Schema {
  const streams = service.methods.filter((method) => !isShown(method)).map(({ name }) => `\`${name}\``);
  const left = streams.length > 0 ? `\n\nStreams, by gRPC, gRPC-Web or Connect only: ${streams.join(", ")}.` : "";
  return { name: service.typeName, description: `${commentOf(service)}${left}` };
}

function header(name: string, description: string, schema: Schema): Schema {
  return { name, in: "header", description, schema };
}

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
  timeout: header("Connect-Timeout-Ms", "How long the caller waits, in milliseconds; 30 s when it is not said.", {
    type: "integer",
    minimum: 1,
    maximum: 9_999_999_999,
  }),
  protocol: header("Connect-Protocol-Version", "The version of Connect's protocol; need not be said.", {
    type: "string",
    enum: ["1"],
  }),
  ifNoneMatch: header("If-None-Match", "The tags of answers that the client has.", { type: "string" }),
  traceparent: header("Traceparent", "W3C trace context: the call goes on in the caller's trace.", { type: "string" }),
  baggage: header("Baggage", "W3C baggage. `user.id` is who is named in the audit log.", { type: "string" }),
};

/** Headers of answers that may be kept. */
export const sharedHeaders: Readonly<Record<string, Schema>> = {
  ETag: {
    description: "The tag of the answer, for `If-None-Match`.",
    schema: { type: "string", pattern: '^"[^"]+"$' },
  },
  "Cache-Control": {
    description: "The client may keep the answer, a shared cache may not, and has to ask before each use.",
    schema: { type: "string", const: "private, no-cache" },
  },
  Vary: { description: "What the answer depends on besides its address.", schema: { type: "string" } },
};

/** Answers that all calls have. */
export const sharedResponses: Readonly<Record<string, Schema>> = {
  431: { description: "The headers, with a query among them, are longer than 16 KiB. There is no body." },
  415: {
    description: "The content type or the encoding is not served; `application/json` is.",
    content: { "application/json": { schema: { $ref: "#/components/schemas/connect.Error" } } },
  },
};
