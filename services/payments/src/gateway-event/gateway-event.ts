import type { AuditEntry } from "#platform/audit/audit-entry.ts";
import type { Payment } from "../payment/payment.ts";

/** Where a dispute stands. */
export type DisputeState = "open" | "won" | "lost";

/** What a bank wants back, as it stands. */
export interface Dispute {
  readonly kind: "disputed";
  readonly disputeId: string;
  readonly state: DisputeState;
  readonly reason: string;
  readonly currency: string;
  readonly amount: bigint;
  /** Until when it has to be answered; undefined where it cannot be, or has been. */
  readonly respondByTime: Date | undefined;
}

/** What happened at the gateway by itself. Texts of the gateway are short and on one line. */
export type Happening =
  | { readonly kind: "refund_failed"; readonly key: string; readonly code: string }
  | { readonly kind: "hold_ended" }
  | Dispute;

/** One event of the gateway. */
export interface GatewayEvent {
  readonly eventId: string;
  /** The key of the authorization, a UUID. */
  readonly authorizationKey: string;
  readonly happening: Happening;
}

/** What the audit log of payments calls it. */
const actions = {
  refund_failed: "payment.refund_failed",
  hold_ended: "payment.hold_ended",
  disputed: "payment.disputed",
} as const satisfies Record<Happening["kind"], string>;

/** An event as the audit log has it. @param details what only this kind has */
export function eventEntry(
  event: GatewayEvent,
  payment: Payment,
  details: Readonly<Record<string, string>>,
): AuditEntry {
  const { eventId, happening } = event;
  return {
    action: actions[happening.kind],
    orderId: payment.orderId || undefined,
    subject: payment.paymentId,
    details: { event_id: eventId, ...details },
    origin: { actor: "gateway", requestId: eventId, traceId: "" },
  };
}
