import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { type Span, SpanKind, type SpanOptions } from "@opentelemetry/api";
import { requestContext } from "#platform/context.ts";
import { redactText } from "#platform/redact/redact-text.ts";
import { reasonOf } from "#platform/trace/span-error.ts";
import { endSpan, startServedSpan, underSpan } from "#platform/trace/spans.ts";
import { type CallRequest, followStream } from "./compose.ts";
import { isKnown, peekHeader } from "./known-call.ts";

/** Codes that mean the server failed, not the caller: OpenTelemetry's semantic conventions for gRPC servers. */
const serverFaults: ReadonlySet<number> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** `rpc.system` of OpenTelemetry's semantic conventions; gRPC-Web is gRPC. */
type RpcSystem = "grpc" | "connect_rpc";

function systemOf(request: CallRequest): RpcSystem {
  return isKnown(request) || request.header.get("content-type")?.startsWith("application/grpc")
    ? "grpc"
    : "connect_rpc";
}

/** The name of a call's spans: `package.Service/Method`. */
export function spanNameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/** What a span of a call says about its method. */
export function rpcAttributes(method: DescMethod, system: RpcSystem = "grpc") {
  return { "rpc.system": system, "rpc.service": method.parent.typeName, "rpc.method": method.name };
}

/** Ends the span of a served call. That the caller was refused is no fault of the server. */
function endServerSpan(span: Span, error: unknown): void {
  const code = error === undefined ? 0 : ConnectError.from(error, Code.Unknown).code;
  span.setAttribute("rpc.grpc.status_code", code);
  if (code !== 0 && !serverFaults.has(code)) span.setAttribute("error.type", reasonOf(error));
  endSpan(span, serverFaults.has(code) ? error : undefined);
}

/** What is the same for all spans of a method: made once, because most calls are not traced. */
class SpanKinds {
  readonly #byMethod = new Map<DescMethod, { name: string } & Record<RpcSystem, SpanOptions>>();

  of(method: DescMethod): { name: string } & Record<RpcSystem, SpanOptions> {
    const known = this.#byMethod.get(method);
    if (known) return known;
    const optionsFor = (system: RpcSystem) => ({ kind: SpanKind.SERVER, attributes: rpcAttributes(method, system) });
    const made = { name: spanNameOf(method), grpc: optionsFor("grpc"), connect_rpc: optionsFor("connect_rpc") };
    this.#byMethod.set(method, made);
    return made;
  }
}

/** Makes a span for each call, as a child of the caller's. To be left out when no spans are made. */
export function telemetryInterceptor(): Interceptor {
  const kinds = new SpanKinds();
  return (next) => async (request) => {
    const kind = kinds.of(request.method);
    const caller = { traceparent: peekHeader(request, "traceparent"), tracestate: peekHeader(request, "tracestate") };
    const span = startServedSpan(kind.name, kind[systemOf(request)], caller);
    if (!span) return underSpan(undefined, () => next(request));
    const { userId } = requestContext();
    if (userId) span.setAttribute("user.id", redactText(userId));
    try {
      const response = await underSpan(span, () => next(request));
      if (response.stream) {
        const around = <T>(step: () => Promise<T>) => underSpan(span, step);
        return followStream(response, { around, onEnd: (error) => endServerSpan(span, error) });
      }
      endServerSpan(span, undefined);
      return response;
    } catch (error) {
      endServerSpan(span, error);
      throw error;
    }
  };
}
