import type { AuditEntry, AuditOrigin } from "#platform/audit/audit-entry.ts";
import type { Shipment, ShipmentStatus } from "./shipment.ts";

/** What a new status is called in the audit log; that the carrier is being asked is not an effect yet. */
const actions: Readonly<Record<ShipmentStatus, string | undefined>> = {
  preparing: "shipment.created",
  ready: "shipment.packed",
  booking: undefined,
  shipped: "shipment.booked",
  delivered: "shipment.delivered",
  failed: "shipment.failed",
  lost: "shipment.lost",
  cancelled: "shipment.cancelled",
};

/** Which parcel, and where it was before. */
type Parcel = Pick<Shipment, "shipmentId" | "orderId" | "locationId">;

/**
 * What is written down when a shipment has come to a status: the shipment is the subject, the details say from which
 * stock location, and from which status. Undefined for a status that is no effect.
 *
 * @param from undefined for a shipment that is new
 */
export function effectOf(
  parcel: Parcel,
  { from, to }: { from?: ShipmentStatus; to: ShipmentStatus },
  origin: AuditOrigin,
): AuditEntry | undefined {
  const action = actions[to];
  if (!action || from === to) return undefined;
  const details = { location: parcel.locationId, ...(from && { from }), to };
  return { action, orderId: parcel.orderId, subject: parcel.shipmentId, details, origin };
}

/**
 * The same for a shipment that is about to be inserted, or a mark for one. Written by a statement in which the input `input`
 * has the place `n` of each, and `created` is what was really inserted, see {@link createdJoin}.
 */
export function createdEffect(parcel: Parcel & { origin: AuditOrigin }, to: "preparing" | "cancelled"): AuditEntry {
  const effect = effectOf(parcel, { to }, parcel.origin);
  if (!effect) throw new Error(`a new shipment that is ${to} is an effect`);
  return effect;
}

/** Leaves out what was there already. */
export const createdJoin = "join input i on i.n = a.n join created c on c.shipment_id = i.shipment_id";
