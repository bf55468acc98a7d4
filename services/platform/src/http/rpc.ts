import type { IncomingMessage, ServerResponse } from "node:http";
import { createRegistry } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createConnectRouter,
  createContextValues,
  type Interceptor,
} from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.js";
import { badRequest, toldText } from "#platform/bad-request.ts";
import { httpWayIn } from "#platform/interceptors/known-call.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { ServiceRegistration } from "#platform/registration.ts";
import type { HttpPeers } from "./certified-peers.ts";
import { Decoding } from "./decoding.ts";
import { problemOfQuery } from "./query.ts";
import { revalidated } from "./revalidation.ts";

/** Which calls are served, and how. */
export interface RpcOptions {
  readonly services: readonly ServiceRegistration[];
  /** The first is the outermost. */
  readonly interceptors: readonly Interceptor[];
  readonly maxMessageBytes: number;
  /** Whether the contract is served, with a page to try calls on. */
  readonly apiDocs: boolean;
  readonly logger: Logger;
  /** Who is at the other end of a request's connection; nobody is asked without it. */
  readonly peers?: HttpPeers | undefined;
}

/** Answers one request. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Refuses a request that is no call at all, in the form of Connect's errors. */
export function refuse(response: ServerResponse, status: number, error: ConnectError): void {
  const body = JSON.stringify(errorToJson(error, undefined));
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" }).end(body);
}

/** What Connect refuses without a word: a verb, a type or a version of HTTP that the call is not served in. */
function refuseProtocol(
  { response, request }: Exchange,
  { status, header }: UniversalServerResponse,
  rpc: UniversalHandler,
) {
  const { method, headers, httpVersion } = request;
  const verbs = verbsOf(rpc).join(", ");
  const type = headers["content-type"] ?? "";
  const refusals: Record<number, string> = {
    405: `the call is made by ${verbs}, not by ${method}`,
    415:
      method === "POST" || type
        ? `the content type "${toldText(type)}" is not served; application/json is`
        : "the query says no encoding that is served; encoding=json is",
    505: `the call needs streams in both directions, which HTTP ${httpVersion} has not; gRPC has`,
  };
  if (status === 405) response.setHeader("allow", verbs);
  header?.forEach((value, name) => {
    response.setHeader(name, value);
  });
  refuse(response, status, new ConnectError(refusals[status] ?? "the call cannot be served", Code.Unimplemented));
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** How a call can be made: what has no side effects also by GET and HEAD, streams by POST alone. */
function verbsOf({ method, allowedMethods }: UniversalHandler): readonly string[] {
  if (method.methodKind !== "unary") return ["POST"];
  return allowedMethods.includes("GET") ? ["POST", "GET", "HEAD"] : allowedMethods;
}

function wayInto({ request, response }: Exchange, peers: HttpPeers | undefined): ContextValues {
  const setHeader = (name: string, value: string) => void response.setHeader(name, value);
  const way = { peer: request.socket.remoteAddress ?? "", certified: peers?.peerOf(request), setHeader };
  return createContextValues().set(httpWayIn, way);
}

async function serve(rpc: UniversalHandler, exchange: Exchange, peers: HttpPeers | undefined): Promise<void> {
  const { request, response } = exchange;
  const { method = "", url = "" } = request;
  if (!verbsOf(rpc).includes(method)) return refuseProtocol({ request, response }, { status: 405 }, rpc);
  const reads = method !== "POST";
  const problem = reads ? problemOfQuery(url) : undefined;
  if (problem) return refuse(response, 400, badRequest(`${problem.field}: ${problem.description}`, [problem]));
  // Connect makes an address of it, of which nobody reads the host; HTTP/1.0 need not say one.
  const { host } = request.headers;
  if (!host || !URL.canParse(`http://${host}`)) request.headers.host = "localhost";
  const asked = universalRequestFromNodeRequest(request, response, undefined, wayInto(exchange, peers));
  // Node sends no body to who asks by HEAD.
  const answer = await rpc(reads ? { ...asked, method: "GET" } : asked);
  if (answer.status >= 400 && answer.body === undefined) refuseProtocol({ request, response }, answer, rpc);
  else await universalResponseToNodeResponse(reads ? await revalidated(request, response, answer) : answer, response);
}

function handlersOf(options: RpcOptions): ReadonlyMap<string, UniversalHandler> {
  const decoding = new Decoding();
  const { textDecoder } = decoding;
  // With these types known, an error's details are readable in JSON. `textDecoder` is read by Connect, though not told.
  const jsonOptions = {
    registry: createRegistry(file_google_rpc_error_details),
    ignoreUnknownFields: false,
    textDecoder,
  };
  const router = createConnectRouter({
    grpc: false,
    interceptors: [...options.interceptors],
    readMaxBytes: options.maxMessageBytes,
    writeMaxBytes: options.maxMessageBytes,
    acceptCompression: [compressionGzip, compressionBrotli],
    jsonOptions,
    requestGate: decoding.watch,
  });
  for (const registration of options.services) registration.route(router);
  return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
}

/** Serves the calls of Connect, gRPC-Web and JSON; what is no call gets an error of the same form. */
export function rpcHandler(options: RpcOptions): Handler {
  const handlers = handlersOf(options);
  const nothing = `there is nothing at this path${options.apiDocs ? "; what can be called is shown at /docs/" : ""}`;
  return (request, response) => {
    const rpc = handlers.get(request.url?.split("?", 1)[0] ?? "");
    if (!rpc) return refuse(response, 404, new ConnectError(nothing, Code.Unimplemented));
    serve(rpc, { request, response }, options.peers).catch((error: unknown) => {
      // Who has gone cannot be told anything.
      if (response.destroyed) return;
      options.logger.error("a request over HTTP could not be answered", { err: error });
      if (response.headersSent) response.destroy();
      else refuse(response, 500, new ConnectError("internal error", Code.Internal));
    });
  };
}
