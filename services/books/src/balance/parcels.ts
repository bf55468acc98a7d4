import { decodeId, encodeId, isId } from "#platform/id.ts";
import type { Ask, Reader } from "./ask.ts";
import type { CarrierParcel, CarrierReader } from "./carrier-reader.ts";
import { type Finding, Tally } from "./finding.ts";
import type { Onward } from "./progress.ts";
import type { IdRange } from "./range.ts";

/** Order → location → status in shipping. */
export type ParcelsByOrder = ReadonlyMap<string, ReadonlyMap<string, string>>;

interface ShipmentRow {
  shipment_id: string;
  order_id: string;
  location_id: string;
  status: string;
  tracking_number: string | null;
}

/** What shipping says has left beside what the carrier took, page by page. */
export class Parcels {
  readonly #shipments = new Tally((count) => `${count} parcels stand with the carrier as shipping says`);
  #read: readonly ShipmentRow[] = [];

  get finding(): Finding {
    return this.#shipments.finding;
  }

  /** Reads the shipments of orders, to be compared with what the carrier has. */
  async read(ask: Ask, { from, to }: IdRange): Promise<ParcelsByOrder> {
    const shipments = await ask<ShipmentRow>(
      `select shipment_id, order_id, location_id, status, tracking_number from shipment
      where order_id between $1 and $2`,
      [from, to],
    );
    this.#read = shipments;
    return byOrder(shipments);
  }

  /** Compares what was read with what the carrier has, which was asked after that: it knows a parcel by the shipment's id as the API shows it. @throws BooksError */
  async compare(carrier: CarrierReader): Promise<void> {
    const shipments = this.#read;
    const parcels = await carrier.find(shipments.map(({ shipment_id: id }) => encodeId(id)));
    this.#shipments.add(
      shipments.length,
      shipments.map((shipment) => disagreement(shipment, parcels.get(encodeId(shipment.shipment_id)))),
    );
  }
}

/** What is being booked may or may not be there. */
function disagreement(shipment: ShipmentRow, parcel: CarrierParcel | undefined): string | undefined {
  const left = ["shipped", "delivered", "lost", "returned"].includes(shipment.status);
  const isSame = parcel?.state === "booked" && parcel.trackingNumber === shipment.tracking_number;
  const isEnded = ["failed", "cancelled"].includes(shipment.status);
  if (left ? isSame : !(isEnded && parcel?.state === "booked")) return undefined;
  const says = `the carrier says ${parcel?.state ?? "nothing"}`;
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

/** All that the carrier took is of shipping's. Goes through its parcels in the order of their keys. @throws BooksError */
export async function checkCarrier(
  reader: Reader,
  carrier: CarrierReader,
  { pageSize, onProgress }: { readonly pageSize: number; readonly onProgress: Onward },
): Promise<Finding> {
  const booked = new Tally((count) => `${count} parcels that the carrier took are known to shipping`);
  let done = 0;
  for await (const keys of carrier.booked(pageSize)) {
    await reader.moment((ask) => compareBooked(ask, keys, booked));
    done += keys.length;
    onProgress({ what: "parcels of the carrier", done, of: undefined });
  }
  return booked.finding;
}

/** What the carrier has taken shipping has written down before it asked. */
async function compareBooked(ask: Ask, booked: readonly string[], tally: Tally): Promise<void> {
  const known = await ask<{ shipment_id: string }>("select shipment_id from shipment where shipment_id = any($1)", [
    booked.filter(isId).map(decodeId),
  ]);
  const ours = new Set(known.map(({ shipment_id: id }) => encodeId(id)));
  tally.add(
    booked.length,
    booked.filter((key) => !ours.has(key)).map((key) => `the carrier took a parcel ${key} that shipping does not know`),
  );
}
