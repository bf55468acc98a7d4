// The errors of a call: which reasons it may be refused for, and what the answer says then.
import type { DescEnum, DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { codeFromString, codeToHttpStatus, codeToString } from "@connectrpc/connect/protocol-connect";
import { commentOf } from "../comment.ts";
import type { Schema } from "./rules.ts";

/** A reason of an enum, as its comment describes it: "NOT_FOUND: text. Metadata: …". */
export interface Reason {
  readonly package: string;
  readonly domain: string;
  readonly name: string;
  readonly code: Code;
  readonly text: string;
  readonly metadata: readonly string[];
}

/** The reasons of an enum, whose comment says the domain: `in the error domain "orders.shop"`. */
function reasonsOf(reasons: DescEnum): Reason[] {
  const domain = /error domain "(.+?)"/.exec(commentOf(reasons))?.[1] ?? "";
  return reasons.values.slice(1).map((value) => {
    const [, status = "", text = ""] = /^([A-Z_]+)[:.]\s*(.*)$/s.exec(commentOf(value)) ?? [];
    const code = codeFromString(status.toLowerCase());
    if (code === undefined || !domain) throw new Error(`the comment of ${value} says no status, or its enum no domain`);
    const keys = /Metadata: (.+?)\.(?: |$)/.exec(text)?.[1] ?? "";
    const metadata = (keys.replaceAll(/\(.*?\)/g, "").match(/[a-z_]{2,}/g) ?? []).filter((key) => !joining.has(key));
    return { package: reasons.file.proto.package, domain, name: value.localName, code, text, metadata };
  });
}

/** Words between keys. */
const joining = new Set(["or", "and"]);

/** The reasons of all services. */
export function allReasons(enums: readonly DescEnum[]): Reason[] {
  return enums.filter(({ name }) => name.endsWith("ErrorReason")).flatMap(reasonsOf);
}

/** What the comment of a call says that it fails with; what an entry of a batch fails with is in the entry's outcome. */
function namedIn(method: DescMethod): Set<string> {
  const said = [...commentOf(method).matchAll(/(entry )?\bfails? with ([^.]*)\./gi)];
  const own = said.filter(([, entry]) => !entry).map(([, , rest = ""]) => rest);
  return new Set(own.join(" ").match(/\b[A-Z][A-Z_]+\b/g) ?? []);
}

/** What any call may be refused for, when it has the field that the reason is about. */
const fieldOfReason: Readonly<Record<string, string | undefined>> = {
  REQUEST_ID_REUSED: "request_id",
  INVALID_PAGE_TOKEN: "page_token",
};
/** What only calls are refused for that need a credential. */
const aboutCredentials: ReadonlySet<string> = new Set(["CREDENTIAL_MISSING", "CREDENTIAL_REFUSED", "NOT_PERMITTED"]);
/** Where the reasons are that every service may give. */
const commonPackage = "shop.type.v1";
/** Of entries only. */
const neverOfCalls = "ANSWER_TOO_LARGE";

function isAsked(method: DescMethod, { name }: Reason): boolean {
  const field = fieldOfReason[name];
  return field === undefined || method.input.fields.some((each) => each.name === field);
}

/**
 * Which of all reasons a call may be refused for: those that it names, and those that every service may give.
 *
 * @param open whether the call may be made without a credential
 */
export function reasonsFor(method: DescMethod, open: boolean, reasons: readonly Reason[]): Reason[] {
  const named = namedIn(method);
  const own = method.parent.file.proto.package;
  return reasons.filter((reason) => {
    if (reason.package === own) return named.has(reason.name);
    if (open && aboutCredentials.has(reason.name)) return false;
    return reason.package === commonPackage && reason.name !== neverOfCalls && isAsked(method, reason);
  });
}

/** What can go wrong with any call, besides its reasons. */
const always: readonly (readonly [code: Code, says: string])[] = [
  [Code.InvalidArgument, "A field breaks a rule, or the request is none: `google.rpc.BadRequest` names the fields."],
  [Code.ResourceExhausted, "The request or the answer is larger than a message may be."],
  [Code.Internal, "An error of the service. What it was stands in its log."],
  [
    Code.DeadlineExceeded,
    "The caller's timeout passed, or the service's own. What was begun may still have its effect.",
  ],
];

/** What a reason is called among those of all services. */
function keyOf({ domain, name }: Reason): string {
  return `${domain.split(".")[0]}.${name}`;
}

/** An answer with each reason, by its key. */
export function examplesOf(reasons: readonly Reason[]): Readonly<Record<string, Schema>> {
  return Object.fromEntries(reasons.map((reason) => [keyOf(reason), exampleOf(reason)]));
}

function exampleOf({ domain, name, code, text, metadata }: Reason): Schema {
  const info = { reason: name, domain, metadata: Object.fromEntries(metadata.map((key) => [key, "…"])) };
  const details = [{ type: "google.rpc.ErrorInfo", value: "", debug: info }];
  return { summary: `${name}: ${text}`, value: { code: codeToString(code), message: "…", details } };
}

/** What a detail is of this answer: one without a reason, or with one of these. */
function detailsWith(names: readonly string[]): Schema {
  const others = { properties: { type: { enum: detailTypes.filter((type) => type !== "google.rpc.ErrorInfo") } } };
  if (names.length === 0) return { items: others };
  return { items: { anyOf: [others, { properties: { debug: { properties: { reason: { enum: names } } } } }] } };
}

/** An error with one of some codes, and with a reason among these or without one. */
function errorOf(codes: Iterable<Code>, reasons: readonly Reason[]): Schema {
  const names = [...new Set(reasons.map(({ name }) => name))].sort();
  return {
    $ref: "#/components/schemas/connect.Error",
    properties: { code: { enum: [...codes].map(codeToString).sort() }, details: detailsWith(names) },
  };
}

/** What may go wrong, in words. */
function toldOf(reasons: readonly Reason[], says: readonly string[]): string {
  const told = reasons.map(({ name, domain, text }) => `- \`${name}\` (${domain}): ${text}`);
  return [...says, told.join("\n")].filter(Boolean).join("\n\n");
}

function codesWith(reasons: readonly Reason[]): Set<Code> {
  return new Set([...always.map(([code]) => code), ...reasons.map(({ code }) => code)]);
}

/** How a stream ends. */
export interface StreamEnd {
  /** The last frame's JSON. */
  readonly schema: Schema;
  /** What may go wrong, in words. */
  readonly told: string;
}

/** How a stream ends that may be refused for some reasons: its status is 200 in any case, and the last frame has the error. */
export function endOf(reasons: readonly Reason[]): StreamEnd {
  const schema = {
    $ref: "#/components/schemas/connect.EndOfStream",
    properties: { error: errorOf(codesWith(reasons), reasons) },
  };
  return {
    schema,
    told: toldOf(
      reasons,
      always.map(([, text]) => text),
    ),
  };
}

/** What stands in the head of an answer with a reason. */
const headersOfReasons = new Map([
  ["CREDENTIAL_MISSING", ["WWW-Authenticate"]],
  [
    "RATE_LIMITED",
    [
      ...["RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"],
      "Retry-After",
    ],
  ],
]);

/** Headers that the document describes once. */
export function headersOf(...names: readonly string[]): Schema {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** The answer of an HTTP status, which may stand for several codes. */
function responseOf(codes: readonly Code[], reasons: readonly Reason[], says: readonly string[]): Schema {
  const examples = Object.fromEntries(
    reasons.map((reason) => [reason.name, { $ref: `#/components/examples/${keyOf(reason)}` }]),
  );
  const given = [...headersOfReasons].flatMap(([name, headers]) =>
    reasons.some((reason) => reason.name === name) ? headers : [],
  );
  return {
    description: toldOf(reasons, says),
    ...(given.length > 0 ? { headers: headersOf(...given) } : {}),
    content: {
      "application/json": { schema: errorOf(codes, reasons), ...(reasons.length > 0 ? { examples } : {}) },
    },
  };
}

/** What is answered to a request that is no call, whatever call was meant. */
export const sharedAnswers: Schema = Object.fromEntries(
  [415, 431].map((status) => [status, { $ref: `#/components/responses/${status}` }]),
);

/** What calls are refused with. Many have the same answers, so each stands in the document once. */
export class Refusals {
  /** By their keys among the document's components. */
  readonly responses: Record<string, Schema> = {};

  /** The refusals of a call by their HTTP status. */
  of(reasons: readonly Reason[]): Readonly<Record<string, Schema>> {
    const answers = [...Map.groupBy(codesWith(reasons), codeToHttpStatus)].map(([status, ofStatus]) => {
      const own = reasons.filter(({ code }) => ofStatus.includes(code));
      const says = always.filter(([code]) => ofStatus.includes(code)).map(([, text]) => text);
      const key = [status, ...own.map(keyOf)].join("-");
      this.responses[key] ??= responseOf(ofStatus, own, says);
      return [String(status), { $ref: `#/components/responses/${key}` }];
    });
    return { ...Object.fromEntries(answers), ...sharedAnswers };
  }
}

/** The names of the codes, which are few. */
const codeNames = Object.values(Code)
  .filter((code): code is Code => typeof code === "number")
  .map(codeToString);

const detailTypes = ["google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo"] as const;

function detail(type: (typeof detailTypes)[number], properties: Schema): Schema {
  return {
    type: "object",
    properties: {
      type: { const: type },
      value: { type: "string", contentEncoding: "base64" },
      debug: { type: "object", properties, additionalProperties: false },
    },
    required: ["type", "value", "debug"],
  };
}

const violation = {
  type: "object",
  properties: {
    field: { type: "string", description: "The way to the field, as the caller spells it." },
    description: { type: "string", description: "What it has to be; never its value." },
    reason: { type: "string", description: "The id of the rule." },
  },
};

/** The schemas of an error and its details. */
export const errorSchemas: Readonly<Record<string, Schema>> = {
  "connect.Error": {
    type: "object",
    description: "Why a call failed, as Connect says it: the code is that of gRPC.",
    properties: {
      code: { type: "string", enum: codeNames },
      message: { type: "string", description: "One English sentence for developers." },
      details: { type: "array", items: { $ref: "#/components/schemas/connect.Error.Detail" } },
    },
    required: ["code"],
  },
  "connect.EndOfStream": {
    type: "object",
    description: "The last frame of a stream. Without an error the call succeeded.",
    properties: {
      error: { $ref: "#/components/schemas/connect.Error" },
      metadata: { type: "object", additionalProperties: { type: "array", items: { type: "string" } } },
    },
  },
  "connect.Error.Detail": {
    description: "A detail of an error. `debug` is readable; `value` has the same in bytes.",
    oneOf: [
      detail("google.rpc.ErrorInfo", {
        reason: { type: "string", description: "Why, in capitals." },
        domain: { type: "string", description: "Who refuses." },
        metadata: { type: "object", additionalProperties: { type: "string" } },
      }),
      detail("google.rpc.BadRequest", { fieldViolations: { type: "array", items: violation } }),
      detail("google.rpc.RetryInfo", {
        retryDelay: { type: "string", description: "After how long a repetition may succeed.", examples: ["0.100s"] },
      }),
    ],
  },
};
