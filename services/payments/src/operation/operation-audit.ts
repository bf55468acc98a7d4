import type { AuditEntry, AuditOrigin } from "#platform/audit/audit-entry.ts";
import { traceIdOf } from "#platform/trace-parent.ts";
import { type Effect, type Payment, shortCode } from "../payment/payment.ts";
import type { Source } from "../payment/source.ts";
import type { Operation } from "./operation.ts";

/** What the audit log of payments calls what the gateway did, and what it refused to do. */
export const auditActions = {
  authorize: { succeeded: "payment.authorized", refused: "payment.declined" },
  capture: { succeeded: "payment.captured", refused: "payment.capture_refused" },
  void: { succeeded: "payment.voided", refused: "payment.void_refused" },
  refund: { succeeded: "payment.refunded", refused: "payment.refund_refused" },
} as const satisfies Record<Effect, Record<"succeeded" | "refused", string>>;

/** The same of a credit, which is made of what another payment has, and goes back to its card. */
export const creditActions = {
  ...auditActions,
  authorize: { succeeded: "payment.credited", refused: "payment.credit_refused" },
  void: { succeeded: "payment.credit_returned", refused: "payment.credit_return_refused" },
} as const satisfies Record<Effect, Record<"succeeded" | "refused", string>>;

/** An operation that the gateway has decided. */
export function decisionEntry(payment: Payment, operation: Operation): AuditEntry {
  const { kind, amount = 0n, freed, refusalCode, operationId, source } = operation;
  const { orderId, paymentId: subject, currency, sourceId } = payment;
  const refused = operation.state === "refused";
  const credit: Record<string, string> = sourceId ? { source_payment_id: sourceId } : {};
  const moved = { operation_id: operationId, currency, amount: String(amount), ...credit };
  const done = freed > 0n ? { ...moved, freed: String(freed) } : moved;
  return {
    action: (sourceId ? creditActions : auditActions)[kind][refused ? "refused" : "succeeded"],
    orderId: orderId || undefined,
    subject,
    details: refused ? { ...moved, decline_code: shortCode(refusalCode) } : done,
    origin: originOf(source),
  };
}

/** Who wanted it, as the audit log has it. */
export function originOf({ actor, requestId, traceparent }: Source): AuditOrigin {
  return { actor, requestId, traceId: traceIdOf(traceparent) };
}
