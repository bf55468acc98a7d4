import type { Ask } from "./ask.ts";

/** Orders in one status that have not come to their end. To rest is no fault: a parcel may be packed for days. */
export interface Rest {
  /** As the order's row has it: `pending`, `confirmed`, `preparing` or `shipped`. */
  readonly status: string;
  readonly orders: number;
  /** For how long nothing has happened to the one that waits the longest, in seconds by the database's clock. */
  readonly longestSeconds: number;
}

/**
 * What rests, the status with the longest first.
 *
 * An order's row says where the order stands and when something last happened to it, and no more: whether a step of it is
 * parked, and whether any workflow carries it, is known to Temporal alone, which is not asked here. Once the rows say so
 * themselves, what is parked, and what no workflow carries, become statements of this file: rests beside these, or, where it
 * must not be, findings.
 */
export async function readRests(ask: Ask): Promise<Rest[]> {
  const rows = await ask<{ status: string; orders: string; longest: string }>(
    `select status, count(*) as orders, greatest(0, extract(epoch from now() - min(update_time)))::bigint as longest
    from customer_order where status not in ('delivered', 'rejected', 'cancelled', 'failed')
    group by status order by longest desc, status`,
  );
  return rows.map(({ status, orders, longest }) => ({
    status,
    orders: Number(orders),
    longestSeconds: Number(longest),
  }));
}
