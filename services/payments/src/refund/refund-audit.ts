import type { AuditEntry, AuditOrigin } from "#platform/audit/audit-entry.ts";
import type { RefundRequest, RefundRequestState, Resting } from "./refund-request.ts";

/** What the audit log of payments calls what became of refunds that need a second person. */
export const refundActions = {
  waiting: "refund.requested",
  approved: "refund.approved",
  rejected: "refund.rejected",
  expired: "refund.expired",
} as const satisfies Record<RefundRequestState, string>;

/** The details of every such entry. */
export function refundDetails({ refundRequestId, currency, amount }: RefundRequest): Record<string, string> {
  return { refund_request_id: refundRequestId, currency, amount: String(amount) };
}

/** A request that somebody made, or decided. */
export function refundEntry({ request, payment }: Resting, origin: AuditOrigin): AuditEntry {
  return {
    action: refundActions[request.state],
    orderId: payment.orderId || undefined,
    subject: payment.paymentId,
    details: refundDetails(request),
    origin,
  };
}
