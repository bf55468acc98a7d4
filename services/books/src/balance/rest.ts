import type { Ask } from "./ask.ts";
import type { IdRange } from "./range.ts";

/**
 * What orders that have not come to their end do, by their rows: an episode carries them; something has happened to them and
 * they are about to be carried, or will be at a set time; a step of them waits for an operator; a person is to
 * decide whether they go on; they wait for stock; or they wait for shipping to
 * tell of their parcels. `old`: a workflow of the kind before episodes has them, of which no row says more.
 */
export type RestState = "carried" | "due" | "again later" | "parked" | "review" | "stock" | "waiting" | "old";

/** Orders in one status that have not come to their end. To rest is no fault: a parcel may be packed for days. */
export interface Rest {
  /** As the order's row has it: `pending`, `confirmed`, `preparing` or `shipped`. */
  readonly status: string;
  readonly state: RestState;
  /** The kind of the step that is parked, such as `capture`; empty when none is. */
  readonly step: string;
  readonly orders: number;
  /** For how long the one that waits the longest has been so, in seconds by the database's clock. */
  readonly longestSeconds: number;
}

/** What rests, among the orders of a range. */
export async function readRests(ask: Ask, { from, to }: IdRange): Promise<Rest[]> {
  const rows = await ask<{ status: string; state: RestState; step: string; orders: string; longest: string }>(
    `select status, state, case state when 'parked' then step else '' end as step, count(*) as orders,
      greatest(0, extract(epoch from now() - min(since)))::bigint as longest
    from (
      select o.status, case
          when o.saga_id <> o.order_id then 'old'
          when o.park_time is not null then 'parked'
          when o.episode_id is not null then 'carried'
          when e.due <= now() then 'due'
          when e.due is not null then 'again later'
          when o.review_time is not null and o.review_decision is null and o.status = 'pending' then 'review'
          when o.back_order_time is not null and o.stock_time is null and o.status = 'pending' then 'stock'
          else 'waiting'
        end as state, coalesce(split_part(o.parked_step, ':', 1), '') as step, coalesce(o.park_time, o.update_time) as since
      from customer_order o
      left join (select order_id, min(due_time) as due from order_event where order_id between $1 and $2 group by order_id) e
        using (order_id)
      where o.order_id between $1 and $2 and o.status not in ('delivered', 'rejected', 'cancelled', 'failed')
    ) s group by 1, 2, 3`,
    [from, to],
  );
  return rows.map(({ orders, longest, ...row }) => ({
    ...row,
    orders: Number(orders),
    longestSeconds: Number(longest),
  }));
}

/** Rests of several ranges together, the longest first. */
export function mergeRests(rests: readonly Rest[]): Rest[] {
  const alike = Map.groupBy(rests, ({ status, state, step }) => `${status} ${state} ${step}`);
  const merged = [...alike.values()].flatMap((group) => {
    const orders = group.reduce((sum, rest) => sum + rest.orders, 0);
    const longestSeconds = Math.max(...group.map((rest) => rest.longestSeconds));
    return group.slice(0, 1).map((rest) => ({ ...rest, orders, longestSeconds }));
  });
  return merged.toSorted((a, b) => b.longestSeconds - a.longestSeconds);
}
