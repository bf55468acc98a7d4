import type { CallRequest } from "./compose.ts";

/** What the gRPC face tells about a call besides what Connect's request has. */
export interface KnownCall {
  /** When the call must be answered, in milliseconds since 1970; undefined for a stream whose caller has not said. */
  readonly deadline: number | undefined;
  /** One request header, without making all of them. */
  peek(name: string): string | undefined;
}

/** Whether a request comes from the gRPC face, which keeps deadlines by itself. */
export function isKnown(request: CallRequest): request is CallRequest & KnownCall {
  return "peek" in request;
}

/** One request header on either face. */
export function peekHeader(request: CallRequest, name: string): string | undefined {
  return isKnown(request) ? request.peek(name) : (request.header.get(name) ?? undefined);
}

/** Whether a request came as JSON. */
export function isJson(request: CallRequest): boolean {
  if (isKnown(request)) return false;
  if (request.requestMethod === "GET") return new URL(request.url).searchParams.get("encoding") === "json";
  return /[/+]json\b/.test(request.header.get("content-type") ?? "");
}
