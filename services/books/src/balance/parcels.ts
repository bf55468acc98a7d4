import { encodeId } from "#platform/id.ts";
import type { Ask } from "./ask.ts";
import { type Finding, maxNamed } from "./finding.ts";

/** The balance of parcels, and what each order has of them. */
export interface ParcelBalance {
  readonly findings: readonly Finding[];
  /** Order → location → status in shipping. */
  readonly byOrder: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

interface ShipmentRow {
  shipment_id: string;
  order_id: string;
  location_id: string;
  status: string;
  tracking_number: string | null;
}

interface BookingRow {
  key: string;
  state: string;
  tracking_number: string;
}

/** What shipping says has left must be what the carrier took, and nothing else. */
export async function checkParcels(ask: Ask): Promise<ParcelBalance> {
  const shipments = await ask<ShipmentRow>(
    "select shipment_id, order_id, location_id, status, tracking_number from shipment",
  );
  const bookings = await ask<BookingRow>("select key, state, tracking_number from simulator.booking");
  return { findings: [compare(shipments, bookings)], byOrder: byOrder(shipments) };
}

/** The carrier knows a parcel by the shipment's id as the API shows it. What is being booked may or may not be there. */
function compare(shipments: readonly ShipmentRow[], bookings: readonly BookingRow[]): Finding {
  const byKey = new Map(bookings.map((booking) => [booking.key, booking]));
  const wrong = shipments.flatMap((shipment) => {
    const key = encodeId(shipment.shipment_id);
    const booking = byKey.get(key);
    byKey.delete(key);
    const left = ["shipped", "delivered", "lost"].includes(shipment.status);
    const isSame = booking?.state === "booked" && booking.tracking_number === shipment.tracking_number;
    const isEnded = ["failed", "cancelled"].includes(shipment.status);
    if (left ? isSame : !(isEnded && booking?.state === "booked")) return [];
    const says = `the carrier says ${booking?.state ?? "nothing"}`;
    return [`shipment ${key} of order ${shipment.order_id} is ${shipment.status}, ${says}`];
  });
  const unknown = [...byKey.values()].filter(({ state }) => state === "booked");
  const strangers = unknown.map(({ key }) => `the carrier took a parcel ${key} that shipping does not know`);
  return {
    checked: `${bookings.filter(({ state }) => state === "booked").length} parcels that the carrier took are those that have left`,
    wrong: [...wrong, ...strangers].slice(0, maxNamed),
  };
}

function byOrder(shipments: readonly ShipmentRow[]): Map<string, Map<string, string>> {
  const grouped = new Map<string, Map<string, string>>();
  for (const { order_id, location_id, status } of shipments) {
    const parcels = grouped.get(order_id) ?? new Map<string, string>();
    grouped.set(order_id, parcels.set(location_id, status));
  }
  return grouped;
}
