import type { AuditEntry, AuditOrigin } from "#platform/audit/audit-entry.ts";
import type { Keyed } from "#platform/database/idempotency.ts";
import { redactText } from "#platform/redact/redact-text.ts";
import type { Money, NewOrder, Order, OrderFailure, OrderStatus } from "./order.ts";
import type { ProtectedNote } from "./order-notes.ts";

/** What the audit log of orders calls what was done: each status that an order came to, and what left it where it was. */
export const auditActions = {
  pending: "order.created",
  confirmed: "order.confirmed",
  preparing: "order.preparing",
  shipped: "order.shipped",
  delivered: "order.delivered",
  rejected: "order.rejected",
  cancelled: "order.cancelled",
  failed: "order.failed",
} as const satisfies Record<OrderStatus, string>;

/** The parcels of an order changed, and its status did not. */
export const parcelsAction = "order.parcels_changed";

/** Somebody asked for an order's cancellation; what comes of it is a change of the order, or nothing. */
export const cancelRequestAction = "order.cancel_requested";

/** Somebody asked for an amendment of an order, and it was taken; what comes of it is one of the others. */
export const amendActions = {
  asked: "order.amendment_requested",
  accepted: "order.amended",
  refused: "order.amendment_refused",
} as const;

/** What was missing of an order was taken out of it. */
export const cutAction = "order.cut";

/** An order is not there any more; what else is written of it stays. */
export const deleteAction = "order.deleted";

/** A cancellation that is asked for. */
export function cancelRequestEntry({ orderId, origin }: { orderId: string; origin: AuditOrigin }): AuditEntry {
  return { action: cancelRequestAction, orderId, origin };
}

/** What an operator asks for about a step that waits for one; what comes of it is the saga's. */
export interface StepDecisionRequest extends Keyed {
  readonly orderId: string;
  /** As the operator named it. */
  readonly step: string;
  readonly decision: "retry" | "resolve";
  /** What was done instead; empty when nothing was said. */
  readonly note: string;
}

/** The decision of an operator, with what he noted as the log has it. */
export function stepDecisionEntry(
  request: StepDecisionRequest & { readonly origin: AuditOrigin },
  { details: note }: Pick<ProtectedNote, "details">,
): AuditEntry {
  const { orderId, step, decision, origin } = request;
  return { action: `order.step_${decision}_requested`, orderId, details: { step: redactText(step), ...note }, origin };
}

/** What was found about an order that does not simply go on. */
export function screeningEntry(found: {
  readonly orderId: string;
  readonly finding: { readonly verdict: string; readonly reasons: readonly string[] };
  readonly origin: AuditOrigin;
}): AuditEntry {
  const { orderId, finding, origin } = found;
  const action = finding.verdict === "review" ? "order.review_began" : "order.screening_refused";
  return { action, orderId, details: { reasons: finding.reasons.join(",") }, origin };
}

/** What is decided about an order under review. */
export interface ReviewDecisionRequest extends Keyed {
  readonly orderId: string;
  readonly decision: "released" | "refused" | "expired";
  /** Why; empty when nobody decided. */
  readonly note: string;
}

/** The decision of a person, or that there was none. */
export function reviewDecisionEntry(
  { orderId, decision, origin }: ReviewDecisionRequest & { readonly origin: AuditOrigin },
  { details }: Pick<ProtectedNote, "details">,
): AuditEntry {
  return { action: `order.review_${decision}`, orderId, details, origin };
}

/** An order that is created. */
export function creationEntry({ orderId, total, lines }: NewOrder, origin: AuditOrigin): AuditEntry {
  const { currency, amount } = total;
  const details = { currency, total: String(amount), lines: String(lines.length) };
  return { action: auditActions.pending, orderId, details, origin };
}

/** What the audit log calls an order that came from another shop, with everything that had happened to it there. */
export const importAction = "order.imported";

/** An order that is imported. */
export function importEntry(
  { orderId, total, lines, status }: Pick<Order, "orderId" | "total" | "status"> & { readonly lines: number },
  { n, origin }: { readonly n: number; readonly origin: AuditOrigin },
): AuditEntry {
  const { currency, amount } = total;
  const details = { status, currency, total: String(amount), lines: String(lines) };
  return { n, action: importAction, orderId, details, origin };
}

/** An order that moves, or whose parcels may have changed. Where from and where to is known only to the statement. */
export function moveEntry(move: {
  readonly orderId: string;
  readonly to: OrderStatus | undefined;
  readonly failure: OrderFailure | undefined;
  readonly origin: AuditOrigin;
}): AuditEntry {
  const { orderId, to, failure, origin } = move;
  const details: Record<string, string> = failure ? { reason: failure.reason.slice(0, 64) } : {};
  return { action: to === undefined ? parcelsAction : auditActions[to], orderId, details, origin };
}

/** A parcel of an order that is lost, and what is paid back of it. */
export function lossEntry(loss: {
  readonly orderId: string;
  readonly locationId: string;
  readonly refund: Money;
  readonly origin: AuditOrigin;
}): AuditEntry {
  const { orderId, locationId, refund, origin } = loss;
  const details = { location: locationId, currency: refund.currency, refund: String(refund.amount) };
  return { action: "order.parcel_lost", orderId, details, origin };
}

/** What of an order comes back: what became of a return. */
export function returnEntry(change: {
  readonly action: string;
  readonly orderId: string;
  readonly returnId: string;
  readonly details: Readonly<Record<string, string>>;
  readonly origin: AuditOrigin;
}): AuditEntry {
  const { action, orderId, returnId, details, origin } = change;
  return { action: `order.return_${action}`, orderId, details: { return: returnId, ...details }, origin };
}
