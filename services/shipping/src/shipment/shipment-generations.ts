import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import type { ShipmentName } from "./shipment.ts";

/** The shipments `s` with the names `k`, wherever their rows are. $1: orders, $2: locations, $3: generations. */
export const namedShipments = `unnest($1::uuid[], $2::text[], $3::int4[]) as k(order_id, location_id, generation)
    join shipment s on s.order_id = k.order_id and s.location_id = any(array[k.location_id, k.location_id || '~' || k.generation])
      and s.generation = k.generation`;

/** The parameters of {@link namedShipments}. */
export function nameColumns(names: readonly ShipmentName[]): [string[], string[], number[]] {
  return [
    names.map(({ orderId }) => decodeId(orderId)),
    names.map(({ locationId }) => locationId),
    names.map(({ generation }) => generation),
  ];
}

/** Rows are locked in the order in which everybody does. */
const giveWay: SqlText = {
  name: "shipment_give_way",
  text: `with older as materialized (
      select s.shipment_id from unnest($1::uuid[], $2::text[], $3::int4[]) as k(order_id, location_id, generation)
      join shipment s on s.order_id = k.order_id and s.location_id = k.location_id
      where s.generation < k.generation and s.status = 'cancelled'
      order by s.order_id, s.location_id for update of s
    )
    update shipment s set location_id = s.location_id || '~' || s.generation from older
    where s.shipment_id = older.shipment_id`,
};

/**
 * Has those that were called off give way to the later ones that take their places: an order has one row for each of its locations, and a
 * process of the version before counts on that.
 */
export async function stepAside(tx: Transaction, names: readonly ShipmentName[]): Promise<void> {
  const later = names.filter(({ generation }) => generation > 0);
  if (later.length > 0) await tx.query(giveWay, nameColumns(later));
}
