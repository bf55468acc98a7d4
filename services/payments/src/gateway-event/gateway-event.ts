import type { AuditEntry } from "#platform/audit/audit-entry.ts";
import type { DisputeState } from "../dispute/dispute.ts";
import type { Payment } from "../payment/payment.ts";

/** What a bank wants back, as it stood at a time. */
export interface Disputed {
  readonly kind: "disputed";
  readonly disputeId: string;
  readonly state: DisputeState;
  readonly reason: string;
  readonly currency: string;
  readonly amount: bigint;
  /** Until when it has to be answered; undefined where it cannot be, or has been. */
  readonly respondByTime: Date | undefined;
  /** When it stood so; undefined where the gateway does not say. */
  readonly asOfTime: Date | undefined;
}

/** What happened at the gateway by itself. Texts of the gateway are short and on one line. */
export type Happening =
  | { readonly kind: "refund_failed"; readonly key: string; readonly code: string }
  | { readonly kind: "hold_ended" }
  | Disputed;

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

/** Leaves out what tells of a dispute as it stood before something that is known of it, or that is told besides. */
export class DisputeOrder {
  readonly #times: Map<string, Date>;

  /** @param times when disputes stood as they are known, by {@link disputeName} */
  constructor(times: ReadonlyMap<string, Date>) {
    this.#times = new Map(times);
  }

  /** Whether an event tells of something that is not known. Each is asked about once, in the order in which they are listed. */
  isNews({ happening }: GatewayEvent, paymentId: string): boolean {
    if (happening.kind !== "disputed" || !happening.asOfTime) return true;
    const name = disputeName(paymentId, happening.disputeId);
    const known = this.#times.get(name);
    if (known && happening.asOfTime < known) return false;
    this.#times.set(name, happening.asOfTime);
    return true;
  }
}

/** A dispute among those of all payments. */
export function disputeName(paymentId: string, disputeId: string): string {
  return `${paymentId} ${disputeId}`;
}
