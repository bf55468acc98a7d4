import type { Ask } from "./ask.ts";
import type { EndedOrder, ReturnedOfOrder } from "./finding.ts";
import type { IdRange } from "./range.ts";
import type { StockOfOrder } from "./stock.ts";

/** Of an order of which nothing came back. */
export const nothingReturned: ReturnedOfOrder = { paid: 0n, restocked: new Map(), isOnItsWay: false };

/** What stands of returns: what is back for certain, or what may be back. */
export type Standing = "completed" | "received";

/**
 * What came back of the orders of a range, by order.
 *
 * @param least what is back at least: `completed`; or at most, with what is on its way: `received`
 */
export async function readReturned(
  ask: Ask,
  { from, to }: IdRange,
  least: Standing,
): Promise<ReadonlyMap<string, ReturnedOfOrder>> {
  const rows = await ask<{ order_id: string; paid: string; parts: [string, number][] | null; on_its_way: boolean }>(
    `select r.order_id, coalesce(sum(r.amount) filter (where r.status = any($3::text[])), 0)::text as paid,
      bool_or(r.status = 'received') as on_its_way, (
        select json_agg(json_build_array(level, pieces)) from (
          select l.sku || '@' || l.location_id as level, sum(l.restocked)::int as pieces from order_return_line l
          join order_return own on own.order_id = l.order_id and own.return_id = l.return_id and own.status = any($3::text[])
          where l.order_id = r.order_id and l.restocked > 0 group by 1
        ) p
      ) as parts
    from order_return r where r.order_id between $1 and $2 and r.status in ('received', 'completed') group by r.order_id`,
    [from, to, least === "completed" ? ["completed"] : ["received", "completed"]],
  );
  return new Map(
    rows.map(({ order_id: orderId, paid, parts, on_its_way: isOnItsWay }) => [
      orderId,
      { paid: BigInt(paid), restocked: new Map(parts), isOnItsWay },
    ]),
  );
}

/** What of an order may have come back while the others were asked: the least from before them, the most from after. */
export interface ReturnBounds {
  readonly least: ReturnedOfOrder;
  readonly most: ReturnedOfOrder;
}

/** Whether money of returns was on its way while payments was asked. */
export function isOnItsWay({ least, most }: ReturnBounds): boolean {
  return least.isOnItsWay || most.isOnItsWay || least.paid !== most.paid;
}

/** What is wrong with the stock that came back of an order: what the warehouse received is on its shelf, once. */
export function faultsOfRestock(
  { orderId }: EndedOrder,
  own: StockOfOrder | undefined,
  { least, most }: ReturnBounds,
): (string | undefined)[] {
  const levels = new Set([...most.restocked.keys(), ...(own?.returned.keys() ?? [])]);
  return [...levels].map((level) => {
    const there = own?.returned.get(level) ?? 0;
    const wanted = [least.restocked.get(level) ?? 0, most.restocked.get(level) ?? 0] as const;
    if (there >= wanted[0] && there <= wanted[1]) return undefined;
    return `order ${orderId}: ${there} of ${level} are back on the shelf, the warehouse received ${wanted[1]}`;
  });
}
