import type { Attributes, Span, SpanKind } from "@opentelemetry/api";
import { type Begun, endSpan, startBatchSpan, startResumed, traceParentOf, underSpan } from "#platform/trace/spans.ts";

/** What is done for many at once, each in a trace that was begun earlier. */
export interface ResumedList<T> {
  /** The span of each entry; the list's own one is called after it. */
  readonly name: string;
  /** Of the entries' spans; internal unless given. */
  readonly kind?: SpanKind;
  /** When the work began, in milliseconds since 1970; now unless given. */
  readonly startTime?: number;
  readonly entries: readonly T[];
  readonly traceOf: (entry: T) => Begun;
  readonly attributesOf: (entry: T) => Attributes;
}

/** The spans of a list: one for each entry whose trace is kept, and one for what is done for all of them. */
interface ListSpans {
  readonly list: Span | undefined;
  readonly entries: readonly (Span | undefined)[];
  readonly traceparents: readonly string[];
}

/**
 * Goes on with the work of many traces in one go: each entry has a span in its own trace, linked to that of the list, and
 * ended with the entry's own outcome; when the work throws, all of them are failed.
 *
 * @param work gets the `traceparent` of each entry's span, empty for one that is not kept; none at all when none is
 * @param outcomeOf for the attribute `ordermesh.outcome`
 */
export async function resumeList<T, R>(
  list: ResumedList<T>,
  work: (traceparents: readonly string[]) => Promise<readonly R[]>,
  outcomeOf: (result: R | undefined) => string,
): Promise<readonly R[]> {
  const spans = startSpans(list);
  const isTraced = spans.traceparents.some((each) => each !== "");
  try {
    const results = await underSpan(spans.list, () => work(isTraced ? spans.traceparents : []));
    for (const [index, span] of spans.entries.entries()) {
      span?.setAttribute("ordermesh.outcome", outcomeOf(results[index]));
      endSpan(span);
    }
    endSpan(spans.list);
    return results;
  } catch (error) {
    for (const span of [...spans.entries, spans.list]) {
      span?.setAttribute("ordermesh.outcome", "failed");
      endSpan(span, error);
    }
    throw error;
  }
}

function startSpans<T>(given: ResumedList<T>): ListSpans {
  const { name, kind, startTime, entries, traceOf, attributesOf } = given;
  const when = startTime === undefined ? {} : { startTime };
  const size = { "ordermesh.list.size": entries.length };
  const spans = entries.map((entry) =>
    startResumed(traceOf(entry), {
      name,
      attributes: { ...attributesOf(entry), ...size },
      ...(kind && { kind }),
      ...when,
    }),
  );
  const traceparents = spans.map(traceParentOf);
  const list = startBatchSpan(`${name} list`, { attributes: size, ...when }, traceparents);
  if (list) for (const span of spans) span?.addLink({ context: list.spanContext() });
  return { list, entries: spans, traceparents };
}
