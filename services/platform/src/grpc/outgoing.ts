import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Metadata } from "@grpc/grpc-js";
import { type Span, SpanKind, type TextMapSetter } from "@opentelemetry/api";
import { requestContext } from "#platform/context.ts";
import { endSpan, notKeptTraceParent, startSpan, underSpan } from "#platform/spans.ts";
import { injectContext } from "#platform/telemetry.ts";
import { addHeaders } from "./metadata.ts";

/** Taken off the caller's own deadline, so that the callee's answer still arrives in time; milliseconds. */
const MARGIN_MS = 10;

const setter: TextMapSetter<Metadata> = { set: (metadata, name, value) => metadata.set(name, value) };

/** What a caller asks of one call. */
export interface CallSettings {
  readonly method: DescMethod;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly header: ConstructorParameters<typeof Headers>[0] | undefined;
  /** When the call has no deadline of its own and none to inherit. Undefined: it may last. */
  readonly defaultTimeoutMs: number | undefined;
}

/** When a call must be answered: what was asked for, but not later than the call that it serves. */
function deadlineOf(settings: CallSettings): number {
  const now = Date.now();
  const inherited = requestContext().deadline;
  const own = settings.timeoutMs ?? (inherited === undefined ? settings.defaultTimeoutMs : undefined);
  const bound = inherited === undefined ? Number.POSITIVE_INFINITY : inherited - MARGIN_MS;
  return Math.min(bound, own === undefined ? Number.POSITIVE_INFINITY : now + own);
}

function metadataOf(settings: CallSettings): Metadata {
  const metadata = new Metadata();
  if (settings.header) addHeaders(metadata, new Headers(settings.header));
  const { requestId, traceParent, userId } = requestContext();
  if (requestId) metadata.set("x-request-id", requestId);
  if (traceParent) metadata.set("traceparent", traceParent);
  if (userId) metadata.set("baggage", `user.id=${encodeURIComponent(userId)}`);
  return metadata;
}

/** One call that this process makes: what goes with it, and what ends it early. */
export class OutgoingCall {
  readonly deadline: number;
  readonly metadata: Metadata;
  readonly #span: Span | undefined;
  readonly #signals: readonly AbortSignal[];
  #cancel: (() => void) | undefined;

  constructor(settings: CallSettings) {
    const { method } = settings;
    this.deadline = deadlineOf(settings);
    this.metadata = metadataOf(settings);
    const signals = [settings.signal, requestContext().signal];
    this.#signals = signals.filter((signal): signal is AbortSignal => signal !== undefined);
    const attributes = { "rpc.system": "grpc", "rpc.service": method.parent.typeName, "rpc.method": method.name };
    this.#span = startSpan(`${method.parent.typeName}/${method.name}`, { kind: SpanKind.CLIENT, attributes });
    if (this.#span) underSpan(this.#span, () => injectContext(this.metadata, setter));
    else if (this.metadata.get("traceparent").length === 0) this.#forbidTrace();
  }

  #forbidTrace(): void {
    const traceParent = notKeptTraceParent();
    if (traceParent) this.metadata.set("traceparent", traceParent);
  }

  /** Throws when the call need not be made any more. */
  throwIfAborted(): void {
    const aborted = this.#signals.find((signal) => signal.aborted);
    const error = aborted ? abortError(aborted.reason) : undefined;
    if (error) this.end(error);
    if (error) throw error;
  }

  /** Calls `cancel` when the caller, or the caller's caller, no longer waits. */
  follow(cancel: () => void): void {
    this.#cancel = cancel;
    for (const signal of this.#signals) signal.addEventListener("abort", cancel, { once: true });
  }

  /** The call is over. */
  end(error?: ConnectError): void {
    const cancel = this.#cancel;
    if (cancel) for (const signal of this.#signals) signal.removeEventListener("abort", cancel);
    this.#span?.setAttribute("rpc.grpc.status_code", error?.code ?? 0);
    if (this.#span) endSpan(this.#span, error);
  }

  /** Why the call was cancelled from our side, if it was. */
  cancelled(): ConnectError | undefined {
    const aborted = this.#signals.find((signal) => signal.aborted);
    return aborted && abortError(aborted.reason);
  }
}

/** What an aborted signal means for the call that followed it. */
function abortError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  const late = reason instanceof Error && reason.name === "TimeoutError";
  const code = late ? Code.DeadlineExceeded : Code.Canceled;
  return new ConnectError(late ? "the deadline passed" : "the call was cancelled", code, undefined, undefined, reason);
}
