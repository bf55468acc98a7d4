import { Code, ConnectError } from "@connectrpc/connect";
import { Metadata } from "@grpc/grpc-js";
import type { Span, SpanOptions } from "@opentelemetry/api";
import { withUserId } from "#platform/baggage.ts";
import { requestContext } from "#platform/context.ts";
import type { RecordCall } from "#platform/metrics/metrics.ts";
import { endSpan, notKeptTraceParent, startSpan, traceParentOf } from "#platform/trace/spans.ts";
import { addHeaders } from "./metadata.ts";

/** Taken off the caller's own deadline, so that the callee's answer still arrives in time; milliseconds. */
const marginMs = 10;

/** What is the same for all calls of a method. */
export interface MethodTelemetry {
  /** The name of the spans. */
  readonly name: string;
  readonly spanOptions: SpanOptions;
  readonly record: RecordCall;
}

/** What a caller asks of one call. */
export interface CallSettings {
  readonly telemetry: MethodTelemetry;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly header: ConstructorParameters<typeof Headers>[0] | undefined;
  /** What is shown to the callee unless the call itself has something; nothing when it is undefined. */
  readonly authorization: (() => string) | undefined;
  /** When the call has no deadline of its own and none to inherit. Undefined: it may last. */
  readonly defaultTimeoutMs: number | undefined;
}

/** When a call must be answered: what was asked for, but not later than the call that it serves. */
function deadlineOf(settings: CallSettings): number {
  const now = Date.now();
  const inherited = requestContext().deadline;
  const own = settings.timeoutMs ?? (inherited === undefined ? settings.defaultTimeoutMs : undefined);
  const bound = inherited === undefined ? Number.POSITIVE_INFINITY : inherited - marginMs;
  return Math.min(bound, own === undefined ? Number.POSITIVE_INFINITY : now + own);
}

function metadataOf(settings: CallSettings): Metadata {
  const metadata = new Metadata();
  if (settings.header) addHeaders(metadata, new Headers(settings.header));
  const { authorization } = settings;
  if (authorization && metadata.get("authorization").length === 0) metadata.set("authorization", authorization());
  const { requestId, userId, baggage } = requestContext();
  if (requestId) metadata.set("x-request-id", requestId);
  if (userId) metadata.set("baggage", withUserId(baggage, userId));
  else if (baggage) metadata.set("baggage", baggage);
  return metadata;
}

/** One call that this process makes: what goes with it, and what ends it early. */
export class OutgoingCall {
  readonly deadline: number;
  readonly metadata: Metadata;
  readonly #span: Span | undefined;
  readonly #signals: readonly AbortSignal[];
  readonly #record: RecordCall;
  readonly #since = performance.now();
  #cancel: (() => void) | undefined;

  constructor(settings: CallSettings) {
    this.deadline = deadlineOf(settings);
    this.metadata = metadataOf(settings);
    const signals = [settings.signal, requestContext().signal];
    this.#signals = signals.filter((signal): signal is AbortSignal => signal !== undefined);
    const { name, spanOptions } = settings.telemetry;
    this.#record = settings.telemetry.record;
    this.#span = startSpan(name, spanOptions);
    this.#sendTrace();
  }

  /** The callee goes on in the trace of this call, or is told that there is none to keep. */
  #sendTrace(): void {
    const ids = this.#span?.spanContext();
    const traceParent = traceParentOf(this.#span) || requestContext().traceParent || notKeptTraceParent();
    if (traceParent) this.metadata.set("traceparent", traceParent);
    if (ids?.traceState) this.metadata.set("tracestate", ids.traceState.serialize());
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
    this.#record(error?.code ?? 0, (performance.now() - this.#since) / 1000);
    this.#span?.setAttribute("rpc.grpc.status_code", error?.code ?? 0);
    endSpan(this.#span, error);
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
