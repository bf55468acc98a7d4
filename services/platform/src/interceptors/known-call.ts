import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Peer } from "#platform/caller.ts";
import type { RequestContext } from "#platform/context.ts";
import type { Origin } from "#platform/limits/client-address.ts";
import type { CallRequest } from "./compose.ts";

/** Where a call came in. */
export interface WayIn {
  /** The address of whoever is connected: the client, or what stands before us. */
  readonly peer: string;
  /** Who that is by the certificate that it has shown; undefined where it has none, or none is asked. */
  readonly certified: Peer | undefined;
  /** Says something with the answer, however the call ends. */
  setHeader(name: string, value: string): void;
}

/** Where a call came in on the HTTP face, among the values of its request. */
export const httpWayIn = createContextKey<WayIn | undefined>(undefined, { description: "way in" });

/** Who has proved to call, of a call that fails: for what is outside of where that is asked. */
export const provedCaller = createContextKey<Pick<RequestContext, "actor" | "onBehalfOf">>(
  {},
  { description: "proved caller" },
);

/** What the gRPC face tells about a call besides what Connect's request has. */
export interface KnownCall extends WayIn {
  /** When the call must be answered, in milliseconds since 1970; undefined for a stream whose caller has not said. */
  readonly deadline: number | undefined;
  /** One request header, without making all of them. */
  peek(name: string): string | undefined;
}

/** Whether a request comes from the gRPC face, which keeps deadlines by itself. */
export function isKnown(request: CallRequest): request is CallRequest & KnownCall {
  return "peek" in request;
}

/** Where a call came in, on either face; undefined where there is none, as between parts of one process. */
export function wayInOf(request: CallRequest): WayIn | undefined {
  return isKnown(request) ? request : request.contextValues.get(httpWayIn);
}

/** By what it is told from where a call comes. */
export function originOf(request: CallRequest): Origin {
  return { peer: wayInOf(request)?.peer ?? "", header: (name) => peekHeader(request, name) };
}

/** One request header on either face. */
export function peekHeader(request: CallRequest, name: string): string | undefined {
  return isKnown(request) ? request.peek(name) : (request.header.get(name) ?? undefined);
}

/** Whether a request came as JSON. */
export function isJson(request: CallRequest): boolean {
  return !isKnown(request) && saysJson(request);
}

/** The same as an implementation sees it. */
export function isJsonCall({ protocolName, requestMethod, url, requestHeader: header }: HandlerContext): boolean {
  return protocolName !== "grpc" && saysJson({ requestMethod, url, header });
}

function saysJson({ requestMethod, url, header }: Pick<CallRequest, "requestMethod" | "url" | "header">): boolean {
  if (requestMethod === "GET") return new URL(url).searchParams.get("encoding") === "json";
  return /[/+]json\b/.test(header.get("content-type") ?? "");
}
