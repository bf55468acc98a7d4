import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { type Attributes, type Span, SpanKind, type TextMapGetter } from "@opentelemetry/api";
import { endSpan, startSpan, underSpan } from "#platform/spans.ts";
import { extractContext } from "#platform/telemetry.ts";
import { type CallRequest, followStream } from "./compose.ts";
import { peekHeader } from "./known-call.ts";

const getter: TextMapGetter<CallRequest> = {
  get: (request, name) => peekHeader(request, name),
  keys: (request) => [...request.header.keys()],
};

/** Codes that mean the server failed, not the caller: OpenTelemetry's semantic conventions for gRPC servers. */
const serverFaults: ReadonlySet<number> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** What the span of a call says about its method. */
export function rpcAttributes(service: string, method: string): Attributes {
  return { "rpc.system": "grpc", "rpc.service": service, "rpc.method": method };
}

/** Ends the span of a served call. */
function endServerSpan(span: Span, error: unknown): void {
  const code = error === undefined ? 0 : ConnectError.from(error, Code.Unknown).code;
  span.setAttribute("rpc.grpc.status_code", code);
  endSpan(span, serverFaults.has(code) ? error : undefined);
}

/** Makes a span for each call, as a child of the caller's. Without tracing it does nothing. */
export function telemetryInterceptor(): Interceptor {
  return (next) => async (request) => {
    const { service, method } = request;
    const parent = extractContext(request, getter);
    const attributes = rpcAttributes(service.typeName, method.name);
    const name = `${service.typeName}/${method.name}`;
    const span = startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
    if (!span) return underSpan(undefined, () => next(request));
    try {
      const response = await underSpan(span, () => next(request), parent);
      if (response.stream) {
        const around = <T>(step: () => Promise<T>) => underSpan(span, step, parent);
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
