import { type Attributes, type Context, SpanKind } from "@opentelemetry/api";
import { activeSpan, runSpan, startSpan } from "#platform/trace/spans.ts";
import type { Ticket } from "../operation/operation.ts";
import { type Effect, shortCode } from "../payment/payment.ts";
import { GatewayAmbiguousError, type GatewayAnswer, GatewayUnavailableError } from "./gateway.ts";

/** What the gateway is called for; `find` asks what became of an earlier call. */
export type GatewayCallKind = Effect | "find";

/** How a call ended: by an answer (`unknown`: the gateway never saw the key), or without one. */
export type GatewayCallOutcome =
  | "approved"
  | "declined"
  | "processing"
  | "unknown"
  | "ambiguous"
  | "unavailable"
  | "failed";

/** Told about every call to the gateway. */
export type OnGatewayCall = (call: { kind: GatewayCallKind; outcome: GatewayCallOutcome; seconds: number }) => void;

/** What a call is measured and traced as. Nothing of the card is in it. */
export interface ObservedCall {
  readonly kind: GatewayCallKind;
  readonly ticket: Ticket;
  /** The trace of whoever wants the operation. */
  readonly parent: Context;
  readonly onCall: OnGatewayCall | undefined;
}

/** The words that all spans use for how something ended. */
const spanOutcomes: Readonly<Record<GatewayCallOutcome, string>> = {
  approved: "done",
  declined: "refused",
  processing: "pending",
  unknown: "done",
  ambiguous: "failed",
  unavailable: "failed",
  failed: "failed",
};

/** Runs one call to the gateway in a span of its own, and measures it. */
export async function observed<A extends GatewayAnswer | undefined>(
  { kind, ticket, parent, onCall }: ObservedCall,
  call: () => Promise<A>,
): Promise<A> {
  const { operation, payment } = ticket;
  const attributes: Attributes = {
    "peer.service": "card-gateway",
    "payment.id": payment.paymentId,
    "operation.id": operation.operationId,
    ...(payment.orderId ? { "order.id": payment.orderId } : {}),
  };
  const begun = performance.now();
  const note = (outcome: GatewayCallOutcome, answer?: GatewayAnswer) => {
    onCall?.({ kind, outcome, seconds: (performance.now() - begun) / 1_000 });
    const span = activeSpan();
    span?.setAttribute("ordermesh.outcome", spanOutcomes[outcome]);
    if (answer?.state === "declined") span?.setAttribute("error.type", shortCode(answer.code));
  };
  return await runSpan(startSpan(`gateway ${kind}`, { kind: SpanKind.CLIENT, attributes }, parent), async () => {
    try {
      const answer = await call();
      note(answer?.state ?? "unknown", answer);
      return answer;
    } catch (error) {
      note(outcomeOf(error));
      throw error;
    }
  });
}

function outcomeOf(error: unknown): GatewayCallOutcome {
  if (error instanceof GatewayAmbiguousError) return "ambiguous";
  return error instanceof GatewayUnavailableError ? "unavailable" : "failed";
}
