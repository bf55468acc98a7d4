import { type Attributes, type Span, SpanKind } from "@opentelemetry/api";
import type { Failure } from "#gen/shop/type/v1/failure_pb.js";
import { type RequestContext, requestContext, type Subject, withContext, withSubject } from "#platform/context.ts";
import { toFailure } from "#platform/errors.ts";
import { inParallel } from "#platform/parallel.ts";
import { activeSpan, endSpan, sampledParent, startSpan, underSpan } from "#platform/trace/spans.ts";
import { Stragglers } from "./stragglers.ts";

/** The entries of a batch call, and the trace context of each at the same index; no entry has one when there are none. */
export interface BatchCall<I> {
  readonly requests: readonly I[];
  readonly traceparents: readonly string[];
}

/** What the entries of a batch call are. */
export interface AboutEntries<I> {
  /** The method that does one such entry, for example `ReserveStock`: the name of its span. */
  readonly method: string;
  /** What an entry is about, as its span and the log lines of its work name it. */
  readonly subjectOf: (request: I) => Subject;
  /** What its span alone says besides. */
  readonly attributesOf?: (request: I) => Attributes;
  /** The outcome of an entry that failed with this; throws what is no outcome. Default: {@link toFailure}. */
  readonly failureOf?: (error: unknown) => Failure;
  /** So many entries are worked on at the same time; default: all. */
  readonly width?: number;
}

/** The outcome of one entry as the protos have it. */
export interface EntryOutcome<O> {
  outcome: { case: "response"; value: O } | { case: "failure"; value: Failure };
}

/** An entry whose trace is not kept must not be taken for a part of the batch's, which may be. */
const notTraced: RequestContext = { traceParent: undefined, traceId: undefined };

function outcomeOf<O>({ outcome }: EntryOutcome<O>): Attributes {
  if (outcome.case === "failure") {
    return {
      "ordermesh.outcome": "refused",
      "error.type": outcome.value.reason,
      "rpc.grpc.status_code": outcome.value.code,
    };
  }
  const { value } = outcome;
  const pending = typeof value === "object" && value !== null && "pending" in value && value.pending === true;
  return { "ordermesh.outcome": pending ? "pending" : "done", "rpc.grpc.status_code": 0 };
}

/** One batch call that is being answered. */
class BatchAnswer<I, O> {
  readonly #batch: BatchCall<I>;
  readonly #about: AboutEntries<I>;
  readonly #call: (request: I, index: number) => Promise<O>;
  readonly #span = activeSpan();

  constructor(batch: BatchCall<I>, about: AboutEntries<I>, call: (request: I, index: number) => Promise<O>) {
    this.#batch = batch;
    this.#about = about;
    this.#call = call;
  }

  /** The context and the trace of one entry, around its work. */
  entry(request: I, index: number): Promise<EntryOutcome<O>> {
    const subject = this.#about.subjectOf(request);
    const { traceparents } = this.#batch;
    if (traceparents.length === 0) return withSubject(subject, () => this.#outcome(request, index));
    const span = this.#startSpan(request, traceparents[index]);
    return underSpan(span, () =>
      withContext(span ? {} : notTraced, () =>
        withSubject(subject, () => (span ? this.#traced(span, request, index) : this.#outcome(request, index))),
      ),
    );
  }

  #startSpan(request: I, traceparent: string | undefined): Span | undefined {
    const parent = sampledParent(traceparent);
    if (!parent) return undefined;
    const links = this.#span ? [{ context: this.#span.spanContext() }] : [];
    const { method, subjectOf, attributesOf } = this.#about;
    const own = { ...subjectOf(request), ...attributesOf?.(request) };
    const attributes = { ...own, "rpc.method": method, "ordermesh.list.size": this.#batch.requests.length };
    return startSpan(method, { kind: SpanKind.SERVER, attributes, links }, parent);
  }

  async #outcome(request: I, index: number): Promise<EntryOutcome<O>> {
    try {
      const refusal = requestContext().refusedEntries?.get(index);
      if (refusal) throw refusal;
      return { outcome: { case: "response", value: await this.#call(request, index) } };
    } catch (error) {
      const { failureOf = toFailure } = this.#about;
      return { outcome: { case: "failure", value: failureOf(error) } };
    }
  }

  async #traced(span: Span, request: I, index: number): Promise<EntryOutcome<O>> {
    try {
      const outcome = await this.#outcome(request, index);
      span.setAttributes(outcomeOf(outcome));
      endSpan(span);
      return outcome;
    } catch (error) {
      span.setAttribute("ordermesh.outcome", "failed");
      endSpan(span, error);
      throw error;
    }
  }
}

/**
 * Answers a batch call: does each entry's work in the entry's own trace and context, so that its log lines name the
 * order, and gives each entry its outcome. All entries have ended when it returns or throws.
 *
 * @throws the first error that is no refusal, so that the caller repeats the batch
 */
export async function answerEach<I, O>(
  batch: BatchCall<I>,
  about: AboutEntries<I>,
  call: (request: I, index: number) => Promise<O>,
): Promise<EntryOutcome<O>[]> {
  const answer = new BatchAnswer(batch, about, call);
  const { requests } = batch;
  const settled = await inParallel(
    [...requests.entries()],
    about.width ?? requests.length,
    async ([index, request]) => {
      const [result] = await Promise.allSettled([answer.entry(request, index)]);
      return result;
    },
  );
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

/**
 * The same for entries that wait for somebody outside and may be answered "pending": those that take much longer than others
 * do not hold them up. See {@link Stragglers}.
 *
 * @param caller fires when nobody waits for the batch any more
 * @param call   gets a signal that fires when the entry is to be answered as it stands
 */
export async function answerEachInTime<I, O>(
  batch: BatchCall<I>,
  { about, caller }: { readonly about: AboutEntries<I>; readonly caller: AbortSignal },
  call: (request: I, enough: AbortSignal) => Promise<O>,
): Promise<EntryOutcome<O>[]> {
  using stragglers = new Stragglers(batch.requests.length, caller);
  const { enough } = stragglers;
  return await answerEach(batch, about, (request) => stragglers.entry(() => call(request, enough)));
}
