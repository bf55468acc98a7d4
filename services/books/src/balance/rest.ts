import type { Ask } from "./ask.ts";

/**
 * What orders that have not come to their end do, by their rows: an episode carries them; something has happened to them and
 * they are about to be carried, or will be at a set time; a step of them waits for an operator; or they wait for shipping to
 * tell of their parcels. `old`: a workflow of the kind before episodes has them, of which no row says more.
 */
export type RestState = "carried" | "due" | "again later" | "parked" | "waiting" | "old";

/** Orders in one status that have not come to their end. To rest is no fault: a parcel may be packed for days. */
export interface Rest {
  /** As the order's row has it: `pending`, `confirmed`, `preparing` or `shipped`. */
  readonly status: string;
  readonly state: RestState;
  readonly orders: number;
  /** For how long the one that waits the longest has been so, in seconds by the database's clock. */
  readonly longestSeconds: number;
}

/** What rests, the longest first. */
export async function readRests(ask: Ask): Promise<Rest[]> {
  const rows = await ask<{ status: string; state: RestState; orders: string; longest: string }>(
    `select status, state, count(*) as orders, greatest(0, extract(epoch from now() - min(since)))::bigint as longest
    from (
      select o.status, case
          when o.saga_id <> o.order_id then 'old'
          when o.park_time is not null then 'parked'
          when o.episode_id is not null then 'carried'
          when e.due <= now() then 'due'
          when e.due is not null then 'again later'
          else 'waiting'
        end as state, coalesce(o.park_time, o.update_time) as since
      from customer_order o
      left join (select order_id, min(due_time) as due from order_event group by order_id) e using (order_id)
      where o.status not in ('delivered', 'rejected', 'cancelled', 'failed')
    ) s group by status, state order by longest desc, status, state`,
  );
  return rows.map(({ status, state, orders, longest }) => ({
    status,
    state,
    orders: Number(orders),
    longestSeconds: Number(longest),
  }));
}
