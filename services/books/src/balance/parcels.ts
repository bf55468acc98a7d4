import { decodeId, encodeId, isId } from "#platform/id.ts";
import type { Ask, Reader } from "./ask.ts";
import { type Finding, Tally } from "./finding.ts";
import type { Onward } from "./progress.ts";
import { type IdRange, type KeyPage, type KeyPageEnd, sweepKeys } from "./range.ts";

/** Order → location → status in shipping. */
export type ParcelsByOrder = ReadonlyMap<string, ReadonlyMap<string, string>>;

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

/** What shipping says has left beside what the carrier took, page by page. */
export class Parcels {
  readonly #shipments = new Tally((count) => `${count} parcels stand with the carrier as shipping says`);

  get finding(): Finding {
    return this.#shipments.finding;
  }

  /** Compares the shipments of orders with their bookings. The carrier knows a parcel by the shipment's id as the API shows it. */
  async compare(ask: Ask, { from, to }: IdRange): Promise<ParcelsByOrder> {
    const shipments = await ask<ShipmentRow>(
      `select shipment_id, order_id, location_id, status, tracking_number from shipment
      where order_id between $1 and $2`,
      [from, to],
    );
    const bookings = await ask<BookingRow>(
      "select key, state, tracking_number from simulator.booking where key = any($1)",
      [shipments.map(({ shipment_id: id }) => encodeId(id))],
    );
    const byKey = new Map(bookings.map((booking) => [booking.key, booking]));
    this.#shipments.add(
      shipments.length,
      shipments.map((shipment) => disagreement(shipment, byKey.get(encodeId(shipment.shipment_id)))),
    );
    return byOrder(shipments);
  }
}

/** What is being booked may or may not be there. */
function disagreement(shipment: ShipmentRow, booking: BookingRow | undefined): string | undefined {
  const left = ["shipped", "delivered", "lost", "returned"].includes(shipment.status);
  const isSame = booking?.state === "booked" && booking.tracking_number === shipment.tracking_number;
  const isEnded = ["failed", "cancelled"].includes(shipment.status);
  if (left ? isSame : !(isEnded && booking?.state === "booked")) return undefined;
  const says = `the carrier says ${booking?.state ?? "nothing"}`;
  return `shipment ${shipment.shipment_id} of order ${shipment.order_id} is ${shipment.status}, ${says}`;
}

function byOrder(shipments: readonly ShipmentRow[]): ParcelsByOrder {
  const grouped = new Map<string, Map<string, string>>();
  for (const { order_id, location_id, status } of shipments) {
    const parcels = grouped.get(order_id) ?? new Map<string, string>();
    grouped.set(order_id, parcels.set(location_id, status));
  }
  return grouped;
}

/** All that the carrier took is of shipping's. Goes through the bookings in the order of their keys. @throws BooksError */
export async function checkCarrier(
  reader: Reader,
  { pageSize, onProgress }: { readonly pageSize: number; readonly onProgress: Onward },
): Promise<Finding> {
  const booked = new Tally((count) => `${count} parcels that the carrier took are known to shipping`);
  const of = await reader.estimate("simulator.booking");
  await sweepKeys({
    size: pageSize,
    look: (page) => reader.moment((ask) => compareBookings(ask, page, booked)),
    onPage: (done) => onProgress({ what: "parcels of the carrier", done, of }),
  });
  return booked.finding;
}

async function compareBookings(ask: Ask, { after, size }: KeyPage, tally: Tally): Promise<KeyPageEnd> {
  const bookings = await ask<{ key: string; state: string }>(
    "select key, state from simulator.booking where $1::text is null or key > $1 order by key limit $2",
    [after, size],
  );
  const booked = bookings.filter(({ state }) => state === "booked").map(({ key }) => key);
  const known = await ask<{ shipment_id: string }>("select shipment_id from shipment where shipment_id = any($1)", [
    booked.filter(isId).map(decodeId),
  ]);
  const ours = new Set(known.map(({ shipment_id: id }) => encodeId(id)));
  tally.add(
    booked.length,
    booked.filter((key) => !ours.has(key)).map((key) => `the carrier took a parcel ${key} that shipping does not know`),
  );
  return { count: bookings.length, last: bookings.at(-1)?.key };
}
