import { type Attributes, type Span, SpanKind } from "@opentelemetry/api";
import type { Failure } from "#gen/shop/type/v1/failure_pb.js";
import { type RequestContext, withContext } from "#platform/context.ts";
import { toFailure } from "#platform/errors.ts";
import { activeSpan, endSpan, sampledParent, startSpan, underSpan } from "#platform/trace/spans.ts";

/** The entries of a list call, and the trace context of each at the same index; no entry has one when there are none. */
export interface ListCall<I> {
  readonly requests: readonly I[];
  readonly traceparents: readonly string[];
}

/** What an entry is about, as spans and log lines name it. */
export interface EntryIds {
  readonly "order.id"?: string;
  readonly "payment.id"?: string;
  readonly "shipment.id"?: string;
}

/** What the entries of a list call are. */
export interface AboutEntries<I> {
  /** The method that does one such entry, for example `ReserveStock`: the name of its span. */
  readonly method: string;
  readonly idsOf: (request: I) => EntryIds;
}

/** The outcome of one entry as the protos have it. */
export interface EntryOutcome<O> {
  outcome: { case: "response"; value: O } | { case: "failure"; value: Failure };
}

/** An entry whose trace is not kept must not be taken for a part of the list's, which may be. */
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

/** One list call that is being answered. */
class ListAnswer<I, O> {
  readonly #list: ListCall<I>;
  readonly #about: AboutEntries<I>;
  readonly #call: (request: I) => Promise<O>;
  readonly #span = activeSpan();

  constructor(list: ListCall<I>, about: AboutEntries<I>, call: (request: I) => Promise<O>) {
    this.#list = list;
    this.#about = about;
    this.#call = call;
  }

  /** The context and the trace of one entry, around its work. */
  entry(request: I, index: number): Promise<EntryOutcome<O>> {
    const ids = this.#about.idsOf(request);
    const orderId = ids["order.id"];
    const { traceparents } = this.#list;
    if (traceparents.length === 0) return withContext({ orderId }, () => this.#outcome(request));
    const span = this.#startSpan(ids, traceparents[index]);
    const patch = span ? { orderId } : { orderId, ...notTraced };
    return underSpan(span, () =>
      withContext(patch, () => (span ? this.#traced(span, request) : this.#outcome(request))),
    );
  }

  #startSpan(ids: EntryIds, traceparent: string | undefined): Span | undefined {
    const parent = sampledParent(traceparent);
    if (!parent) return undefined;
    const links = this.#span ? [{ context: this.#span.spanContext() }] : [];
    const attributes = { ...ids, "rpc.method": this.#about.method, "ordermesh.list.size": this.#list.requests.length };
    return startSpan(this.#about.method, { kind: SpanKind.SERVER, attributes, links }, parent);
  }

  async #outcome(request: I): Promise<EntryOutcome<O>> {
    try {
      return { outcome: { case: "response", value: await this.#call(request) } };
    } catch (error) {
      return { outcome: { case: "failure", value: toFailure(error) } };
    }
  }

  async #traced(span: Span, request: I): Promise<EntryOutcome<O>> {
    try {
      const outcome = await this.#outcome(request);
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
 * Answers a list call: does each entry's work in the entry's own trace and context, so that its log lines name the
 * order, and gives each entry its outcome. All entries have ended when it returns or throws.
 *
 * @throws the first error that is no refusal, so that the caller repeats the list
 */
export async function answerEach<I, O>(
  list: ListCall<I>,
  about: AboutEntries<I>,
  call: (request: I) => Promise<O>,
): Promise<EntryOutcome<O>[]> {
  const answer = new ListAnswer(list, about, call);
  const settled = await Promise.allSettled(list.requests.map((request, index) => answer.entry(request, index)));
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}
