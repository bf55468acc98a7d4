import { insertAuditEvents } from "#platform/audit/audit-entry.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { createdJoin } from "../shipment/shipment-audit.ts";
import { shipmentColumns } from "../shipment/shipment-row.ts";

/** Locks the shipments of parcels. $1: orders, $2: locations. */
export const lockByParcel: SqlText = {
  name: "shipment_lock_parcel",
  text: `select ${shipmentColumns}, s.due_time <= clock_timestamp() as due
    from unnest($1::uuid[], $2::text[]) as k(order_id, location_id)
    join shipment s on s.order_id = k.order_id and s.location_id = k.location_id
    order by s.order_id, s.location_id for update of s`,
};

/** Locks shipments. $1: ids. */
export const lockById: SqlText = {
  name: "shipment_lock_id",
  text: `select ${shipmentColumns} from shipment s where s.shipment_id = any($1::uuid[])
    order by s.order_id, s.location_id for update of s`,
};

/** Leaves marks where no shipment is. $1: ids, $2: orders, $3: locations, $4: what is written down. */
export const insertTombstones: SqlText = {
  name: "shipment_tombstone",
  text: `with input as materialized (
      select * from unnest($1::uuid[], $2::uuid[], $3::text[]) with ordinality
        as k(shipment_id, order_id, location_id, n)
    ), created as (
      insert into shipment (shipment_id, order_id, location_id, status, lines, saga_id)
      select k.shipment_id, k.order_id, k.location_id, 'cancelled', '[]', '' from input k
      where not exists (select from shipment s where s.order_id = k.order_id and s.location_id = k.location_id)
      order by k.order_id, k.location_id
      on conflict (order_id, location_id) do nothing
      returning shipment_id
    ), audited as (${insertAuditEvents("$4", { join: createdJoin })})
    select shipment_id from created`,
};

/** Claims what nobody is asking the carrier about. $1: lease in milliseconds, $2: at most so many. */
export const claimDue: SqlText = {
  name: "shipment_claim_booking",
  text: `update shipment s set attempts = s.attempts + 1, due_time = clock_timestamp() + $1 * interval '1 millisecond'
    where s.shipment_id = any(array(
      select shipment_id from shipment where status = 'booking' and due_time <= now()
      order by due_time limit $2 for update skip locked))
    returning ${shipmentColumns}`,
};

/** Puts off claims that still stand. $1: ids, $2: their attempts, $3, $4: the longest pause and half the first. */
export const defer: SqlText = {
  name: "shipment_defer_booking",
  text: `update shipment s set due_time = clock_timestamp()
      + least($3::float8, $4::float8 * 2 ^ least(s.attempts, 20)) * interval '1 millisecond'
    from unnest($1::uuid[], $2::int4[]) as d(shipment_id, attempts)
    where s.shipment_id = d.shipment_id and s.attempts = d.attempts and s.status = 'booking'`,
};
