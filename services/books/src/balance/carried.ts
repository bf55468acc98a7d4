import type { Ask } from "./ask.ts";
import { type Finding, Tally } from "./finding.ts";
import type { IdRange } from "./range.ts";

/** After so many minutes an episode should have settled its orders, or others have them again. */
const longestEpisodeMinutes = 15;

/** An order to which nothing is to happen but what shipping tells of its parcels, as far as orders knows. */
export interface Waiting {
  readonly orderId: string;
  readonly status: string;
  /** The workflow that carried it last; another one has taken it when it differs. */
  readonly lastEpisode: string;
  /** Whether it waits for stock: then inventory has something to tell. */
  readonly awaitsStock: boolean;
  /** Whether it is still carried, for far too long. */
  readonly isCarried: boolean;
}

/**
 * Orders that have not come to their end, are not carried by a young episode, have no event that is due or coming, and wait
 * for no person. Those of the kind before episodes are carried by workflows that no row knows.
 */
export async function readWaiting(ask: Ask, { from, to }: IdRange): Promise<Waiting[]> {
  type Row = { order_id: string; status: string; last_episode: string; is_carried: boolean; awaits_stock: boolean };
  const rows = await ask<Row>(
    `select o.order_id, o.status, coalesce(o.last_episode_id::text, '') as last_episode,
      o.episode_id is not null as is_carried, o.back_order_time is not null and o.stock_time is null and o.status = 'pending' as awaits_stock
    from customer_order o left join episode e on e.episode_id = o.episode_id
    where o.order_id between $1 and $2
      and o.status not in ('delivered', 'rejected', 'cancelled', 'failed') and o.saga_id = o.order_id
      and o.park_time is null and not (o.review_time is not null and o.review_decision is null and o.status = 'pending')
      and not exists (select from order_event where order_event.order_id = o.order_id)
      and (o.episode_id is null or e.start_time is null
        or e.start_time < now() - interval '${longestEpisodeMinutes} minutes')`,
    [from, to],
  );
  return rows.map((row) => ({
    orderId: row.order_id,
    status: row.status,
    lastEpisode: row.last_episode,
    awaitsStock: row.awaits_stock,
    isCarried: row.is_carried,
  }));
}

/** Orders of which shipping has news to tell, now or when something has happened to the shipment. */
export async function readOwed(ask: Ask, { from, to }: IdRange): Promise<ReadonlySet<string>> {
  const rows = await ask<{ order_id: string }>(
    `select distinct order_id from shipment where order_id between $1 and $2
      and (status in ('preparing', 'booking', 'shipped') or reported and case status
        when 'ready' then told_news = ''
        when 'failed' then failed_by = 'warehouse' and told_news = ''
          or failed_by = 'carrier' and awaited and told_news in ('', 'packed')
        when 'cancelled' then awaited and told_news in ('', 'packed')
        else told_news in ('', 'packed', 'booked')
      end)`,
    [from, to],
  );
  return new Set(rows.map((row) => row.order_id));
}

/** How orders of a range stood before shipping was asked, and after it. */
export interface Carried {
  readonly before: readonly Waiting[];
  readonly after: readonly Waiting[];
  readonly owed: ReadonlySet<string>;
  /** Orders that inventory has in a queue, or is about to tell of. */
  readonly queued: ReadonlySet<string>;
  /** How many orders are under way. */
  readonly underway: number;
}

/** Whether every order has somebody who goes on with it, page by page. */
export class CarriedOrders {
  readonly #underway = new Tally(
    (count) => `${count} orders under way are carried, due or parked, or wait for stock or news of a parcel`,
  );

  get finding(): Finding {
    return this.#underway.finding;
  }

  /**
   * What shipping told between two looks has had its order carried again: only one that stood the same before and after is
   * nobody's.
   */
  compare({ before, after, owed, queued, underway }: Carried): void {
    const stood = new Map(before.map((waiting) => [waiting.orderId, waiting.lastEpisode]));
    const lost = after.filter(({ orderId, lastEpisode, awaitsStock, isCarried }) => {
      const isOwed = awaitsStock ? queued.has(orderId) : owed.has(orderId);
      return stood.get(orderId) === lastEpisode && (isCarried || !isOwed);
    });
    const wrong = lost.map(({ orderId, status, awaitsStock, isCarried }) => {
      const nobody = awaitsStock ? "waits for stock in no queue" : "nobody carries it";
      const why = isCarried ? `its episode has not settled it for ${longestEpisodeMinutes} minutes` : nobody;
      return `order ${orderId} is ${status} and ${why}`;
    });
    this.#underway.add(underway, wrong);
  }
}
