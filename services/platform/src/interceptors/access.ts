import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { isCallerFault } from "#platform/errors.ts";
import { type ClientAddresses, unknownAddress } from "#platform/limits/client-address.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { CallMetrics, RecordCall } from "#platform/metrics/metrics.ts";
import { activeSpanIds } from "#platform/trace/spans.ts";
import { type CallRequest, followStream } from "./compose.ts";
import { originOf, provedCaller } from "./known-call.ts";

/** Failures that pass by themselves, or that the caller chose. */
const expected = new Set([Code.Unavailable, Code.ResourceExhausted, Code.Aborted, Code.DeadlineExceeded]);

function levelOf(code: Code): "info" | "warn" | "error" {
  if (isCallerFault(code) || code === Code.Canceled) return "info";
  return expected.has(code) ? "warn" : "error";
}

/** Who was refused, as far as he has proved it, and from where. What he says of himself is not among it. */
type Refused = Readonly<Partial<Record<"client.user.id" | "user.effective.id" | "client.address", string>>>;

function refusedOf(request: CallRequest, addresses: Addresses | undefined): Refused {
  const { actor, onBehalfOf } = request.contextValues.get(provedCaller);
  const address = addresses?.of(originOf(request));
  return {
    ...(actor && { "client.user.id": actor }),
    ...(onBehalfOf && { "user.effective.id": onBehalfOf }),
    ...(address && address !== unknownAddress && { "client.address": address }),
  };
}

/** How a call ended. */
interface End {
  readonly error: unknown;
  readonly ms: number;
  /** Asked when the caller was refused. */
  refused(): Refused;
}

/** Writes one line per call: debug when it went well, with the whole cause when the fault is ours. */
function writeLine(logger: Logger, method: DescMethod, end: End): void {
  const rpc = {
    "rpc.service": method.parent.typeName,
    "rpc.method": method.name,
    "event.duration": Math.round(end.ms * 1e6),
  };
  if (end.error === undefined) {
    if (logger.level === "debug") logger.debug("served", rpc);
    return;
  }
  const error = ConnectError.from(end.error, Code.Unknown);
  const level = levelOf(error.code);
  const fields = { ...rpc, "rpc.grpc.status_code": error.code };
  const isLimit = error.code === Code.ResourceExhausted;
  if (level === "info") logger.info(`refused: ${error.message}`, { ...fields, ...whyRefused(error), ...end.refused() });
  else if (level === "warn")
    logger.warn(`failed: ${error.message}`, {
      ...fields,
      "error.message": reasonOf(error),
      ...(isLimit && end.refused()),
    });
  else logger.error(`failed: ${error.message}`, { ...fields, err: error.cause instanceof Error ? error.cause : error });
}

/** Why a credential is not taken. Who showed it learns only that it is not; who has to mend his issuer's settings finds it in the log. */
function whyRefused({ code, cause }: ConnectError): { readonly "error.message"?: string } {
  const why = code === Code.Unauthenticated && cause instanceof Error ? cause.cause : undefined;
  return why instanceof Error ? { "error.message": why.message } : {};
}

/** What is behind an error, without stacks: such failures come in crowds. */
function reasonOf(error: ConnectError): string | undefined {
  const messages: string[] = [];
  for (let next = error.cause; next instanceof Error && messages.length < 4; next = next.cause)
    messages.push(next.message);
  return messages.length === 0 ? undefined : messages.join(": ");
}

type Addresses = Pick<ClientAddresses, "of">;

/**
 * Measures every call and writes its line in the log.
 *
 * @param addresses tells from where a refused caller called; without it that is not said
 */
export function accessInterceptor(logger: Logger, metrics: CallMetrics, addresses?: Addresses): Interceptor {
  const recorders = new Map<DescMethod, RecordCall>();
  const recorderOf = (method: DescMethod): RecordCall => {
    const recorder = recorders.get(method) ?? metrics.forMethod(method);
    recorders.set(method, recorder);
    return recorder;
  };
  return (next) => async (request) => {
    const { method } = request;
    const begin = performance.now();
    const onEnd = (error: unknown): void => {
      const ms = performance.now() - begin;
      const code = error === undefined ? 0 : ConnectError.from(error, Code.Unknown).code;
      recorderOf(method)(code, ms / 1000, activeSpanIds()?.traceId);
      writeLine(logger, method, { error, ms, refused: () => refusedOf(request, addresses) });
    };
    try {
      const response = await next(request);
      if (response.stream) return followStream(response, { onEnd });
      onEnd(undefined);
      return response;
    } catch (error) {
      onEnd(error);
      throw error;
    }
  };
}
