import { type AuditEntry, type AuditOrigin, auditOrigin } from "#platform/audit/audit-entry.ts";
import { activeTraceParent, type Begun } from "#platform/trace/spans.ts";
import { traceIdOf } from "#platform/trace-parent.ts";
import type { Shipment, ShipmentStatus } from "./shipment.ts";

/** By whom and in which trace something was submitted; what serves many callers at once runs in the context of none. */
export interface Submission {
  readonly origin: AuditOrigin;
  /** W3C `traceparent` of the running span; empty when it is not kept. */
  readonly traceparent: string;
}

/** The submission of what the running call asks for. */
export function submission(requestId?: string): Submission {
  return { origin: auditOrigin(requestId), traceparent: activeTraceParent() ?? "" };
}

/** What the service does by itself, for a shipment that was begun in some trace. */
export function ownOrigin({ traceparent }: Begun): AuditOrigin {
  return { ...auditOrigin("", "service:shipping"), traceId: traceIdOf(traceparent) };
}

/** What a new status is called in the audit log; that the carrier is being asked is not an effect yet. */
const actions: Readonly<Record<ShipmentStatus, string | undefined>> = {
  preparing: "shipment.created",
  ready: "shipment.packed",
  booking: undefined,
  shipped: "shipment.booked",
  delivered: "shipment.delivered",
  failed: "shipment.failed",
  lost: "shipment.lost",
  returned: "shipment.returned",
  cancelled: "shipment.cancelled",
};

/** Which shipment. */
type Audited = Pick<Shipment, "shipmentId" | "orderId" | "locationId">;

/**
 * What is written down when a shipment has come to a status: the shipment is the subject, the details say from which
 * stock location, and from which status. Undefined for a status that is no effect.
 *
 * @param from undefined for a shipment that is new
 */
export function effectOf(
  shipment: Audited,
  { from, to }: { from?: ShipmentStatus; to: ShipmentStatus },
  origin: AuditOrigin,
): AuditEntry | undefined {
  const action = actions[to];
  if (!action || from === to) return undefined;
  const details = { location: shipment.locationId, ...(from && { from }), to };
  return { action, orderId: shipment.orderId, subject: shipment.shipmentId, details, origin };
}

/**
 * The same for a shipment that is about to be inserted, or a mark for one. Written by a statement in which the input `input`
 * has the place `n` of each, and `created` is what was really inserted, see {@link createdJoin}.
 */
export function createdEffect(shipment: Audited & { origin: AuditOrigin }, to: "preparing" | "cancelled"): AuditEntry {
  const effect = effectOf(shipment, { to }, shipment.origin);
  if (!effect) throw new Error(`a new shipment that is ${to} is an effect`);
  return effect;
}

/** Leaves out what was there already. */
export const createdJoin = "join input i on i.n = a.n join created c on c.shipment_id = i.shipment_id";
