import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { type Fenced, isOver } from "#platform/fence.ts";
import { episodeOver } from "./errors.ts";
import type { ShipmentName } from "./shipment.ts";
import { nameColumns } from "./shipment-generations.ts";

/** The highest fence of those who have asked about any shipment of the order of `s`. */
export const orderFence = "(select max(fence) from shipment where shipment.order_id = s.order_id)";

/** The same of what an entry of a statement asks for, where it is higher than the entry's own; else null. */
export const higherFence = (entry: string) => `(select max(fence) from shipment
        where shipment.order_id = ${entry}.order_id and shipment.fence > ${entry}.fence and ${entry}.fence > 0)`;

/** Remembers fences and returns those of orders that are higher already. $1: orders, $2: locations, $3: generations, $4: fences. */
const raiseFences: SqlText = {
  name: "shipment_raise_fences",
  text: `with asked as materialized (
      select * from unnest($1::uuid[], $2::text[], $3::int4[], $4::int4[]) with ordinality
        as k(order_id, location_id, generation, fence, n) order by order_id, location_id
    ), behind as materialized (
      select s.shipment_id, k.fence from asked k cross join lateral (
        select shipment_id from shipment
        where shipment.order_id = k.order_id and shipment.location_id = any(array[k.location_id, k.location_id || '~' || k.generation])
          and shipment.generation = k.generation and shipment.fence < k.fence for update
      ) s
    ), raised as (
      update shipment s set fence = behind.fence from behind
      where s.shipment_id = any(array(select shipment_id from behind)) and s.shipment_id = behind.shipment_id
        and s.fence < behind.fence
    )
    select k.n::int as place, s.fence as "higherFence" from asked k cross join lateral (
      select max(fence) as fence from shipment where shipment.order_id = k.order_id
    ) s where s.fence > k.fence`,
};

interface HigherFence {
  /** Of the input, from 1. */
  readonly place: number;
  readonly higherFence: number;
}

/**
 * Remembers the episodes that repetitions come from: one that is answered as an earlier one was builds on what that did, which nobody is to undo
 * any more. Says which come from an episode that is over.
 */
export async function refuseOver(
  database: Queryable,
  inputs: readonly (ShipmentName & Fenced)[],
): Promise<(Error | undefined)[]> {
  if (inputs.every(({ fence }) => fence === 0)) return [];
  const rows = await database.query<HigherFence>(raiseFences, [
    ...nameColumns(inputs),
    inputs.map(({ fence }) => fence),
  ]);
  const higher = new Map(rows.map(({ place, higherFence: fence }) => [place - 1, fence]));
  return inputs.map((input, index) => {
    const highest = higher.get(index) ?? 0;
    return isOver(input, highest) ? episodeOver(input, highest) : undefined;
  });
}
