import { type Ask, type Finding, maxNamed } from "./finding.ts";

/** The balance of parcels, and what each order has of them. */
export interface ParcelBalance {
  readonly findings: readonly Finding[];
  /** Order → location → status in shipping. */
  readonly byOrder: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** What shipping says has left must be what the carrier took, and nothing else. */
export async function checkParcels(ask: Ask): Promise<ParcelBalance> {
  return { findings: [await checkCarrier(ask)], byOrder: await readByOrder(ask) };
}

async function checkCarrier(ask: Ask): Promise<Finding> {
  const left = "('shipped', 'delivered', 'lost')";
  const rows = await ask<{ shipment_id: string; order_id: string; status: string; state: string | null }>(
    `select s.shipment_id, s.order_id, s.status, b.state from shipment s
      left join simulator.booking b on b.key = s.shipment_id::text
    where (s.status in ${left} and (b.state is distinct from 'booked' or b.tracking_number <> s.tracking_number))
      or (s.status in ('failed', 'cancelled') and b.state = 'booked')
    limit ${maxNamed}`,
  );
  const [count] = await ask<{ count: string }>(`select count(*) from shipment where status in ${left}`);
  return {
    checked: `${count?.count ?? 0} parcels that have left are those that the carrier took`,
    wrong: rows.map(
      (row) =>
        `shipment ${row.shipment_id} of order ${row.order_id} is ${row.status}, the carrier says ${row.state ?? "nothing"}`,
    ),
  };
}

async function readByOrder(ask: Ask): Promise<Map<string, Map<string, string>>> {
  const rows = await ask<{ order_id: string; location_id: string; status: string }>(
    "select order_id, location_id, status from shipment",
  );
  const byOrder = new Map<string, Map<string, string>>();
  for (const { order_id, location_id, status } of rows) {
    const parcels = byOrder.get(order_id) ?? new Map<string, string>();
    byOrder.set(order_id, parcels.set(location_id, status));
  }
  return byOrder;
}
