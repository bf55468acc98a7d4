import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import { type PersonalData, plainPersonalData } from "#platform/personal/personal-data.ts";
import type { OrderStatus } from "../order/order.ts";
import type { Episode } from "./episode.ts";
import { type EpisodeOrderRow, episodeOrderBytes, episodeOrderColumns, toEpisode } from "./episode-row.ts";
import { eventIds, type Haste, hasteOf, maxEvents } from "./order-event.ts";

/** The start of an episode has to fit into what the workflow engine takes. */
const maxEpisodeBytes = 256 * 1024;

/** The step at which an order is parked that no workflow carries to where it rests: nothing can be done instead of it. */
export const carryStep = "carry";

/** What is kept of an event while an episode carries it; see `CarriedEvent`. */
const carriedEvent = "jsonb_build_object('id', event_id, 'kind', kind, 'detail', detail, 'time', create_time)";

/** The kinds of events of a haste, as SQL literals. */
function kindsOf(haste: Haste): string {
  const kinds = Object.entries(hasteOf).filter(([, theirs]) => theirs === haste);
  return kinds.map(([kind]) => `'${kind}'`).join(", ");
}

const cancellationOf = (orderId: string) =>
  // biome-ignore lint/plugin/sql: makes constants of this file: the id is a column's name
  `select from order_event where order_event.order_id = ${orderId} and event_id = '${eventIds.cancellation}'`;

/**
 * Gives orders that rest, and to which something happened, to an episode: those first that wait for the longest time. Orders
 * that another process gives away at this moment are passed over; what it took of their events is not there any more, and an
 * order without events is left alone. Whatever else happened to an order goes with it. One whose cancellation was accepted between
 * the look at the events and the lock of its row is left for the next claim, which sees the event: it would be carried as if
 * nobody had withdrawn it. An order with which episodes failed
 * goes alone, so that it takes no others with it. Each order counts its episodes: whom the saga asks knows the later one by it.
 */
const claimOf = (haste: Haste): SqlText => ({
  name: `episode_claim_${haste}`,
  // biome-ignore lint/plugin/sql: made of a haste, of which there are two
  text: `with room as materialized (
    select count(*) < $5 or not exists (
      select from order_event where kind in (${kindsOf(haste)}) and due_time <= now()
    ) as free from episode
  ), due as materialized (
    select order_id, due_time from order_event
    where kind in (${kindsOf(haste)}) and due_time <= now() and (select free from room)
    order by due_time limit $4
  ), free as materialized (
    select o.order_id, due.due_time from due cross join lateral (
      select order_id from customer_order
      where customer_order.order_id = due.order_id and episode_id is null and saga_id = customer_order.order_id
        and (cancel_time is null or recall is not null or not cancellable or exists (${cancellationOf("customer_order.order_id")}))
      for no key update skip locked
    ) o limit $2
  ), sized as (
    select o.order_id, first.due_time, o.faults > 0 as suspect, ${episodeOrderBytes} as bytes
    from (select order_id, min(due_time) as due_time from free group by order_id) first
    join customer_order o using (order_id)
  ), fitting as materialized (
    select order_id from (
      select order_id, row_number() over oldest as place, sum(bytes) over oldest as bytes,
        suspect or first_value(suspect) over oldest as alone
      from sized window oldest as (order by due_time, order_id)
    ) s where place = 1 or bytes <= $3 and not alone
  ), taken as (
    delete from order_event e using (
      select t.order_id, t.event_id from fitting cross join lateral (
        select order_id, event_id from order_event where order_event.order_id = fitting.order_id
        order by create_time, event_id limit ${maxEvents}
      ) t
    ) t where e.order_id = t.order_id and e.event_id = t.event_id
    returning e.order_id, e.event_id, e.kind, e.detail, e.due_time, e.create_time
  ), o as (
    update customer_order set episode_id = $1, last_episode_id = $1, episodes = episodes + 1,
      episode_events = t.events
    from (
      select order_id, jsonb_agg(${carriedEvent} order by create_time, event_id) as events from taken group by order_id
    ) t where customer_order.order_id = t.order_id
    returning customer_order.*
  ), begun as (
    insert into episode (episode_id, order_ids)
    select $1, array_agg(order_id order by order_id) from o having count(*) > 0
  )
  select ${episodeOrderColumns}, (
    select extract(epoch from clock_timestamp() - min(due_time)) * 1000 from taken
    where kind = 'placed' and due_time <= now()
  )::float8 as "waitedMs",
    (select count(*) from free) >= $2 or (select count(*) from fitting) < (select count(*) from sized) as more,
    looked.events as "lookedAt", room.free as room
  from (select count(*)::int as events from due) looked cross join room left join o on true order by o.order_id`,
});

const claims: Readonly<Record<Haste, SqlText>> = { prompt: claimOf("prompt"), relaxed: claimOf("relaxed") };

/** Takes on starts that were not acknowledged; others leave them alone for a while. */
const repeat: SqlText = {
  name: "episode_repeat",
  text: `with due as materialized (
    select episode_id, order_ids from episode
    where ack_time is null and lease_time < now() - $1 * interval '1 millisecond'
    order by lease_time limit $2 for no key update skip locked
  ), leased as (
    update episode set lease_time = now() from due where episode.episode_id = due.episode_id
  )
  select due.episode_id as "episodeId", o.* from due left join lateral (
    select ${episodeOrderColumns} from unnest(due.order_ids) as i(order_id)
    cross join lateral (
      select * from customer_order where customer_order.order_id = i.order_id and episode_id = due.episode_id limit 1
    ) o
  ) o on true order by due.episode_id, o."orderId"`,
};

const acknowledge: SqlText = {
  name: "episode_acknowledge",
  text: "update episode set ack_time = now() where episode_id = $1 and ack_time is null",
};

/** Only the orders that are in the episode still. */
const stillIn = `select from unnest(episode.order_ids) as i(order_id) cross join lateral (
      select from customer_order o where o.order_id = i.order_id and o.episode_id = episode.episode_id limit 1
    ) o`;

const forgetSettled: SqlText = {
  name: "episode_forget",
  prepared: false,
  text: `delete from episode where start_time < now() - $1 * interval '1 millisecond' and not exists (${stillIn})
    returning episode_id`,
};

/** A report may be written while its order is deleted: nobody would ever take it. */
const forgetOrphans: SqlText = {
  name: "episode_orphans",
  prepared: false,
  text: `delete from order_event e where create_time < now() - $1 * interval '1 millisecond'
    and not exists (select from customer_order o where o.order_id = e.order_id)`,
};

const carrying: SqlText = {
  name: "episode_carrying",
  prepared: false,
  text: `select episode_id as "episodeId", start_time::text as "startTime" from episode
    where (start_time, episode_id) > ($1::timestamptz, $2::uuid) and start_time < now() - $3 * interval '1 millisecond'
      and ack_time < now() - $3 * interval '1 millisecond' and exists (${stillIn})
    order by start_time, episode_id limit $4`,
};

interface FaultRow {
  readonly episode_id: string;
  readonly order_id: string | undefined;
  readonly reason: string;
  readonly error: string;
}

const faultInput = writtenColumns<FaultRow>({ episode_id: "uuid", order_id: "uuid", reason: "text", error: "text" });

function toFaultRow({ episodeId, orderId, reason, error }: Fault): FaultRow {
  return { episode_id: decodeId(episodeId), order_id: orderId && decodeId(orderId), reason, error };
}

/**
 * Gives back what episodes carry that are gone: the orders rest again, and their events are due, with one more that says that
 * it is time to try again. Only orders that are in that episode still: what it settled is settled. What stays in the row of
 * their events says until the next settlement that nobody knows how far the order came.
 *
 * An order with which the episode failed pauses before, twice as long each time; after so many in a row it is parked, and its
 * events wait for what happens to it next: an operator's decision, or anything else. What is told of it counts for the order
 * that is named, or for all that the episode has still.
 */
const giveBack: SqlText = {
  name: "episode_give_back",
  prepared: false,
  text: `with fault as materialized (
    select * from json_to_recordset($2::json) as f(${faultInput.typed})
  ), locked as materialized (
    select o.*, fault.reason, fault.error, o.before + (fault.reason is not null)::int as faults,
      fault.reason is not null and o.before + 1 >= $3::int as parks
    from (
      select episode_id, unnest(order_ids) as order_id from episode where episode_id = any($1::uuid[]) order by order_id
    ) e
    cross join lateral (
      select order_id, episode_id, episode_events, faults as before from customer_order
      where customer_order.order_id = e.order_id and episode_id = e.episode_id for no key update
    ) o
    left join lateral (
      select reason, error from fault
      where fault.episode_id = o.episode_id and coalesce(fault.order_id, o.order_id) = o.order_id limit 1
    ) fault on true
  ), returned as (
    insert into order_event (order_id, event_id, kind, detail, create_time, due_time)
    select order_id, e.id, e.kind, e.detail, e.time, case
        when parks then 'infinity' when reason is null then now()
        else now() + $4::bigint * 2 ^ before * interval '1 millisecond'
      end
    from locked
    cross join lateral jsonb_to_recordset(
      case when episode_events @> '[{"id": "${eventIds.retry}"}]' then episode_events else episode_events ||
        jsonb_build_object('id', '${eventIds.retry}', 'kind', 'retry', 'detail', '{}'::jsonb, 'time', now()) end
    ) as e(id text, kind text, detail jsonb, time timestamptz)
    on conflict do nothing
  )
  update customer_order o set episode_id = null, faults = locked.faults,
    parked_step = case when parks then '${carryStep}' else o.parked_step end,
    parked_reason = case when parks then locked.reason else o.parked_reason end,
    parked_error = case when parks then locked.error else o.parked_error end,
    park_time = case when parks and o.parked_step is distinct from '${carryStep}' then now() else o.park_time end
  from locked where o.order_id = locked.order_id
  returning o.order_id as "orderId", locked.episode_id as "episodeId", locked.reason, locked.error, locked.parks as parked`,
};

/** Gives each order of an episode that is refused one of its own, whose start is due at once. */
const takeApart: SqlText = {
  name: "episode_take_apart",
  prepared: false,
  text: `with alone as materialized (
    select i.episode_id, o.order_id from unnest($2::uuid[], $3::uuid[]) as i(order_id, episode_id)
    cross join lateral (
      select order_id from customer_order where customer_order.order_id = i.order_id and episode_id = $1
      for no key update
    ) o
  ), moved as (
    update customer_order o set episode_id = alone.episode_id, last_episode_id = alone.episode_id,
      episodes = episodes + 1 from alone
    where o.order_id = alone.order_id
  ), begun as (
    insert into episode (episode_id, order_ids, lease_time) select episode_id, array[order_id], 'epoch' from alone
  )
  delete from episode where episode_id = $1`,
};

interface MemoryRow {
  readonly episodeId: string | null;
  readonly lastEpisodeId: string | null;
  readonly saga: string | null;
  readonly legacy: boolean;
  readonly status: OrderStatus;
}

const memoryColumns = selectList<MemoryRow>({
  episodeId: true,
  lastEpisodeId: true,
  saga: "saga::text",
  legacy: "saga_id <> order_id",
  status: true,
});

const memory: SqlText = {
  name: "order_memory",
  text: `select ${memoryColumns} from customer_order where order_id = $1`,
};

/** What was claimed, and how long the oldest of its new orders had waited for that. */
export interface Claimed {
  readonly episode: Episode;
  readonly waitedMs: number;
  /** Whether there was more than one episode takes. */
  readonly more: boolean;
}

/** What a claim says with each order; it says it once when it got none. */
type ClaimRow = (EpisodeOrderRow | { readonly orderId: null }) & {
  readonly waitedMs: number | null;
  readonly more: boolean;
  /** How many events it looked at. */
  readonly lookedAt: number;
  /** Whether one more episode may be open. */
  readonly room: boolean;
};

/** Events that a claim looks at first: of those that wait for the longest time, most belong to orders that rest. */
const firstWindow = 1_024;

/** What an order remembers between its episodes. */
export interface OrderMemory {
  readonly orderId: string;
  /** The workflow that carries it now. */
  readonly episodeId: string | undefined;
  readonly lastEpisodeId: string | undefined;
  readonly saga: string;
  /** Whether a workflow of the kind before episodes carries it. */
  readonly legacy: boolean;
  readonly status: OrderStatus;
}

/** How much a claim takes. */
export interface ClaimOptions {
  /** The most orders. */
  readonly limit: number;
  /** So many episodes may be open, of all processes; those that claim in the same moment may make it one more each. */
  readonly openMax: number;
}

/** How a process takes on starts that another one left. */
export interface RepeatOptions {
  /** Starts that were taken on later are left alone, in milliseconds. */
  readonly leaseMs: number;
  /** The most episodes. */
  readonly limit: number;
}

/** What an episode failed with: with an order, not because somebody was away. */
export interface Fault {
  readonly episodeId: string;
  /** Undefined: with any that the episode has still. */
  readonly orderId: string | undefined;
  /** Upper snake case. */
  readonly reason: string;
  /** One line, for people. */
  readonly error: string;
}

/** How often an order may be carried in vain. */
export interface FaultPolicy {
  /** After so many faults in a row it is parked. */
  readonly max: number;
  /** How long it pauses after the first; doubles with each. Milliseconds. */
  readonly pauseMs: number;
}

/** Orders that are not carried any more. */
export interface GivingBack {
  readonly episodeIds: readonly string[];
  readonly faults: readonly Fault[];
}

/** An order that is not carried any more. */
export interface GivenBack {
  readonly orderId: string;
  readonly episodeId: string;
  /** Undefined when it is no fault. */
  readonly fault: Pick<Fault, "reason" | "error"> | undefined;
  readonly parked: boolean;
}

interface GivenBackRow {
  readonly orderId: string;
  readonly episodeId: string;
  readonly reason: string | null;
  readonly error: string | null;
  readonly parked: boolean;
}

/** Which workflows carry which orders. */
export class EpisodeRepository {
  readonly #database: Queryable;
  readonly #personal: PersonalData;

  /** @param personal by default everything is plain */
  constructor(database: Queryable, personal: PersonalData = plainPersonalData) {
    this.#database = database;
    this.#personal = personal;
  }

  /** Gives at most `limit` orders to a new episode; undefined when nothing of this haste is due, "full" when it has to wait. */
  async claim(haste: Haste, options: ClaimOptions): Promise<Claimed | "full" | undefined> {
    const { limit, openMax } = options;
    const episodeId = newId();
    for (let window = firstWindow; ; window *= 16) {
      const values = [decodeId(episodeId), limit, maxEpisodeBytes, window, openMax];
      const rows = await this.#database.query<ClaimRow>(claims[haste], values);
      // Those that have settled are forgotten by and by, and count until then.
      if (rows[0]?.room === false) return (await this.forgetSettled(0)) > 0 ? this.claim(haste, options) : "full";
      const orders = rows.filter((row) => row.orderId !== null);
      const [first] = orders;
      if (first) {
        const episode = await toEpisode(this.#personal, episodeId, orders);
        return { episode, waitedMs: first.waitedMs ?? 0, more: first.more };
      }
      // All of them wait for orders that are carried: others may be behind them.
      if ((rows[0]?.lookedAt ?? 0) < window) return undefined;
    }
  }

  /** What an order remembers; undefined when there is none. */
  async memory(orderId: string): Promise<OrderMemory | undefined> {
    const [row] = await this.#database.query<MemoryRow>(memory, [decodeId(orderId)]);
    if (!row) return undefined;
    const { episodeId, lastEpisodeId, saga, legacy, status } = row;
    return {
      orderId,
      episodeId: episodeId === null ? undefined : encodeId(episodeId),
      lastEpisodeId: lastEpisodeId === null ? undefined : encodeId(lastEpisodeId),
      saga: saga ?? "",
      legacy,
      status,
    };
  }

  /** Takes on starts that were not acknowledged, each with the orders that it carries still. */
  async repeat({ leaseMs, limit }: RepeatOptions): Promise<Episode[]> {
    type Row = { readonly episodeId: string } & (EpisodeOrderRow | { readonly orderId: null });
    const rows = await this.#database.query<Row>(repeat, [leaseMs, limit]);
    const episodes = [...Map.groupBy(rows, (row) => row.episodeId)].map(([episodeId, members]) => {
      const orders = members.filter((row) => row.orderId !== null);
      return toEpisode(this.#personal, encodeId(episodeId), orders);
    });
    return Promise.all(episodes);
  }

  /** The worker has the episode. */
  async acknowledge(episodeId: string): Promise<void> {
    await this.#database.query(acknowledge, [decodeId(episodeId)]);
  }

  /** Forgets events of orders that were deleted, once they are older than `ageMs`. */
  async forgetOrphans(ageMs: number): Promise<void> {
    await this.#database.query(forgetOrphans, [ageMs]);
  }

  /** Forgets episodes whose orders have all settled, once they are older than `ageMs`; returns how many there were. */
  async forgetSettled(ageMs: number): Promise<number> {
    return (await this.#database.query(forgetSettled, [ageMs])).length;
  }

  /** Episodes that the worker has had for longer than `ageMs` and that carry orders still, the oldest first, in pages. */
  async *carrying(ageMs: number, limit: number): AsyncGenerator<string[], void, undefined> {
    let after = { startTime: "-infinity", episodeId: "00000000-0000-0000-0000-000000000000" };
    while (true) {
      const rows = await this.#database.query<typeof after>(carrying, [after.startTime, after.episodeId, ageMs, limit]);
      const last = rows.at(-1);
      if (!last) return;
      yield rows.map(({ episodeId }) => encodeId(episodeId));
      after = last;
    }
  }

  /** Has the orders of episodes that are gone rest again, and their events due; those with which they failed later, or parked. */
  async giveBack({ episodeIds, faults }: GivingBack, { max, pauseMs }: FaultPolicy): Promise<GivenBack[]> {
    const values = [episodeIds.map(decodeId), JSON.stringify(faults.map(toFaultRow)), max, pauseMs];
    const rows = await this.#database.query<GivenBackRow>(giveBack, values);
    return rows.map(({ orderId, episodeId, reason, error, parked }) => ({
      orderId: encodeId(orderId),
      episodeId: encodeId(episodeId),
      fault: reason === null ? undefined : { reason, error: error ?? "" },
      parked,
    }));
  }

  /** Gives each order of an episode one of its own. */
  async takeApart({ episodeId, orders }: Episode): Promise<void> {
    const orderIds = orders.map(({ orderId }) => decodeId(orderId));
    const episodeIds = orders.map(() => decodeId(newId()));
    await this.#database.query(takeApart, [decodeId(episodeId), orderIds, episodeIds]);
  }
}
