import { SpanKind } from "@opentelemetry/api";
import { requestContext } from "#platform/context.ts";
import { endSpan, startSpan, underSpan } from "#platform/trace/spans.ts";
import type { BookingState } from "./carrier.ts";

/** What is asked of the carrier; `find` only asks. */
export type Question = "book" | "cancel" | "find";

/** Notes how long one call took; the outcome is the carrier's answer, or `failed`. */
export type NoteCarrierCall = (call: Question, outcome: BookingState["kind"] | "failed", seconds: number) => void;

/** Calls the carrier about a shipment: in a span of its own, and measured. */
export async function callCarrier(
  { question, shipmentId, note }: { question: Question; shipmentId: string; note: NoteCarrierCall | undefined },
  work: () => Promise<BookingState>,
): Promise<BookingState> {
  const orderId = requestContext().subject?.["order.id"];
  const attributes = { "peer.service": "carrier", "shipment.id": shipmentId, ...(orderId && { "order.id": orderId }) };
  const span = startSpan(`carrier ${question}`, { kind: SpanKind.CLIENT, attributes });
  const begin = performance.now();
  const end = (outcome: BookingState["kind"] | "failed", error?: unknown) => {
    note?.(question, outcome, (performance.now() - begin) / 1_000);
    span?.setAttribute("ordermesh.outcome", outcome);
    endSpan(span, error);
  };
  try {
    const answer = await underSpan(span, work);
    end(answer.kind);
    return answer;
  } catch (error) {
    end("failed", error);
    throw error;
  }
}
