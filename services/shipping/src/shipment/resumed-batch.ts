import type { Attributes, Span, SpanKind } from "@opentelemetry/api";
import { endSpan, startBatchSpan, startResumed, traceParentOf, underSpan } from "#platform/trace/spans.ts";
import type { Shipment } from "./shipment.ts";

/** What is done for many shipments at once, each in the trace that was begun for it earlier. */
export interface ResumedBatch<S extends Shipment = Shipment> {
  /** The span of each shipment; the batch's own one is called after it. */
  readonly name: string;
  /** Of the shipments' spans; internal unless given. */
  readonly kind?: SpanKind;
  /** When the work began, in milliseconds since 1970; now unless given. */
  readonly startTime?: number;
  readonly shipments: readonly S[];
  /** What the span of a shipment says besides its ids. */
  readonly attributesOf: (shipment: S) => Attributes;
}

/** The spans of a batch: one for each shipment whose trace is kept, and one for what is done for all of them. */
interface BatchSpans {
  readonly batch: Span | undefined;
  readonly shipments: readonly (Span | undefined)[];
  readonly traceparents: readonly string[];
}

/**
 * Goes on with the work of many traces in one go: each shipment has a span in its own trace, linked to that of the batch,
 * and ended with the shipment's own outcome; when the work throws, all of them are failed.
 *
 * @param work gets the `traceparent` of each shipment's span, empty for one that is not kept; none at all when none is
 * @param outcomeOf for the attribute `ordermesh.outcome`
 */
export async function resumeBatch<R, S extends Shipment = Shipment>(
  batch: ResumedBatch<S>,
  work: (traceparents: readonly string[]) => Promise<readonly R[]>,
  outcomeOf: (result: R | undefined) => string,
): Promise<readonly R[]> {
  const spans = startSpans(batch);
  const isTraced = spans.traceparents.some((each) => each !== "");
  try {
    const results = await underSpan(spans.batch, () => work(isTraced ? spans.traceparents : []));
    for (const [index, span] of spans.shipments.entries()) {
      span?.setAttribute("ordermesh.outcome", outcomeOf(results[index]));
      endSpan(span);
    }
    endSpan(spans.batch);
    return results;
  } catch (error) {
    for (const span of [...spans.shipments, spans.batch]) {
      span?.setAttribute("ordermesh.outcome", "failed");
      endSpan(span, error);
    }
    throw error;
  }
}

function startSpans<S extends Shipment>(batch: ResumedBatch<S>): BatchSpans {
  const { name, kind, startTime, shipments, attributesOf } = batch;
  const when = startTime === undefined ? {} : { startTime };
  const size = { "ordermesh.list.size": shipments.length };
  const spans = shipments.map((shipment) => {
    const ids = { "shipment.id": shipment.shipmentId, "order.id": shipment.orderId };
    return startResumed(shipment.trace, {
      name,
      attributes: { ...ids, ...attributesOf(shipment), ...size },
      ...(kind && { kind }),
      ...when,
    });
  });
  const traceparents = spans.map(traceParentOf);
  const shared = startBatchSpan(`${name} list`, { attributes: size, ...when }, traceparents);
  if (shared) for (const span of spans) span?.addLink({ context: shared.spanContext() });
  return { batch: shared, shipments: spans, traceparents };
}
