import { selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { type PersonalData, plainPersonalData } from "#platform/personal/personal-data.ts";
import { personalKeyColumns } from "#platform/personal/personal-key.ts";
import { type CarriedEvent, eventIds } from "../episode/order-event.ts";
import { protectReason, type StoredReason, saidNothing } from "../order/cancel-reason.ts";
import { orderNotFound } from "../order/errors.ts";
import { isTerminal, type OrderStatus, orderStatuses } from "../order/order.ts";

/** How an order stands to its cancellation. */
export interface Standing {
  readonly status: OrderStatus;
  /** The workflow of the kind before episodes that carries it; undefined for an order that episodes carry. */
  readonly legacySagaId: string | undefined;
  /** The workflow that carries it now. */
  readonly episodeId: string | undefined;
  /** Whether it rests because its workflow is gone, which may have done what its row does not know. */
  readonly lost: boolean;
  /** Whether a cancellation was accepted before. */
  readonly wanted: boolean;
  /** Whether it was accepted by this very look. */
  readonly accepted: boolean;
}

interface StandingRow {
  readonly status: OrderStatus;
  readonly sagaId: string;
  readonly episodeId: string | null;
  readonly legacy: boolean;
  readonly lost: boolean;
  readonly wanted: boolean;
  readonly accepted: boolean;
}

const standingColumns = selectList<StandingRow>({
  status: true,
  sagaId: true,
  episodeId: true,
  legacy: "saga_id <> order_id",
  lost: true,
  wanted: "cancel_time is not null",
  accepted: "exists (select from accepted)",
});

/** Why somebody cancels, as it is stored. */
export interface CancelWish {
  readonly orderId: string;
  readonly reason: StoredReason;
}

/** The key of a reason belongs to the customer of the order, and is not written when he is erased: then it is forgotten at once. */
const insertKeyOf = (source: string, keys: string) =>
  // biome-ignore lint/plugin/sql: called for the constants below, with names of what they select and of parameters
  `insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id from ${source}
    cross join json_to_recordset(${keys}::json) as k(${personalKeyColumns.typed})
    where not exists (select from erasure where erasure.customer_id = ${source}.customer_id)`;

/**
 * Judged under the row's lock: whether a parcel leaves, or a workflow begins, is decided before or after. What the row says
 * of an order whose workflow is gone is out of date: a parcel may have left. One that is accepted, and of which no event is left, was forgotten by what
 * a worker of the version before settled: it is accepted again.
 */
const accept: SqlText = {
  name: "cancellation_accept",
  text: `with locked as materialized (
    select order_id, customer_id, status, saga_id, episode_id, cancellable, cancel_time,
      episode_id is null and episode_events is not null as lost
    from customer_order
    where order_id = $1::uuid for no key update
  ), accepted as materialized (
    select order_id, customer_id from locked
    where episode_id is null and not lost and saga_id = order_id and cancellable and status <> all($3::text[])
      and (cancel_time is null or not exists (
        select from order_event e where e.order_id = locked.order_id and e.event_id = '${eventIds.cancellation}'))
  ), happened as (
    insert into order_event (order_id, event_id, kind, detail)
    select order_id, '${eventIds.cancellation}', 'cancellation', $2::jsonb from accepted on conflict do nothing
  ), keyed as (
    ${insertKeyOf("accepted", "$5")}
  ), marked as (
    update customer_order o set cancel_time = coalesce(o.cancel_time, now()), cancel_reason = $4::jsonb from accepted
    where o.order_id = accepted.order_id
  )
  select ${standingColumns} from locked`,
};

/**
 * A cancellation of an order of which parcels have left, or are about to. Whoever carries it next decides what becomes of each, and finds out if
 * none had left after all.
 */
const recall: SqlText = {
  name: "cancellation_recall",
  text: `with locked as materialized (
    select order_id, customer_id, status, saga_id, episode_id, cancel_time, shipments,
      episode_id is null and episode_events is not null as lost
    from customer_order
    where order_id = $1::uuid for no key update
  ), accepted as materialized (
    select order_id, customer_id, away.locations from locked cross join lateral (
      select jsonb_agg(s -> 'locationId') as locations from jsonb_array_elements(shipments) s
      where s ->> 'status' in ('planned', 'shipped')
    ) away
    where saga_id = order_id and cancel_time is null and status in ('confirmed', 'preparing', 'shipped')
      and away.locations is not null
  ), happened as (
    insert into order_event (order_id, event_id, kind, detail)
    select order_id, '${eventIds.cancellation}', 'cancellation', $2::jsonb from accepted on conflict do nothing
  ), keyed as (
    ${insertKeyOf("accepted", "$4")}
  ), marked as (
    update customer_order o set cancel_time = now(), cancel_reason = $3::jsonb,
      recall = jsonb_build_object('locations', accepted.locations)
    from accepted where o.order_id = accepted.order_id
  )
  select ${standingColumns} from locked`,
};

/** When the workflow is lost before it settles the order, the next one gets the cancellation with the other events. */
const note: SqlText = {
  name: "cancellation_note",
  text: `with locked as materialized (
    select order_id, customer_id, cancel_time is null as first from customer_order
    where order_id = $1 and episode_id = $2 for no key update
  ), accepted as materialized (
    select order_id, customer_id from locked where first
  ), keyed as (
    ${insertKeyOf("accepted", "$5")}
  ), marked as (
    update customer_order o set cancel_time = now(), cancel_reason = $4::jsonb,
      episode_events = episode_events || ($3::jsonb || jsonb_build_object('time', now()))
    from accepted where o.order_id = accepted.order_id
  )
  select order_id from locked`,
};

/** What a workflow accepted that has settled since, and what those accept that note nothing. */
const explain: SqlText = {
  name: "cancellation_explain",
  text: `with told as (
    update customer_order set cancel_reason = $2::jsonb
    where order_id = $1 and cancel_reason is null and (cancel_time is not null or status = 'cancelled' or saga_id <> order_id)
      and not exists (select from erasure where erasure.customer_id = customer_order.customer_id)
    returning customer_id
  ) ${insertKeyOf("told", "$3")}`,
};

function toStanding(orderId: string, [row]: readonly StandingRow[]): Standing {
  if (!row) throw orderNotFound(orderId);
  const { status, sagaId, episodeId, legacy, lost, wanted, accepted } = row;
  return {
    status,
    legacySagaId: legacy ? encodeId(sagaId) : undefined,
    episodeId: episodeId === null ? undefined : encodeId(episodeId),
    lost,
    wanted,
    accepted,
  };
}

/** Writes down which cancellations were accepted. */
export class CancellationRepository {
  readonly #database: Queryable;
  readonly #personal: PersonalData;

  /** @param personal by default everything is plain */
  constructor(database: Queryable, personal: PersonalData = plainPersonalData) {
    this.#database = database;
    this.#personal = personal;
  }

  /** Why an order is to be cancelled, as it is stored. */
  async wish({ orderId, reason }: { readonly orderId: string; readonly reason: string }): Promise<CancelWish> {
    return { orderId, reason: await protectReason(this.#personal, decodeId(orderId), reason) };
  }

  /** Accepts the cancellation of an order that is known to rest and to be cancellable; else says how it stands. @throws ORDER_NOT_FOUND */
  async accept({ orderId, reason: { stored, keys } }: CancelWish): Promise<Standing> {
    const ended = orderStatuses.filter(isTerminal);
    const values = [decodeId(orderId), JSON.stringify({ reason: saidNothing }), ended, stored, keys];
    return toStanding(orderId, await this.#database.query<StandingRow>(accept, values));
  }

  /** Accepts the cancellation of an order of which parcels have left, or are about to; else says how it stands. @throws ORDER_NOT_FOUND */
  async recall({ orderId, reason: { stored, keys } }: CancelWish): Promise<Standing> {
    const values = [decodeId(orderId), JSON.stringify({ reason: saidNothing }), stored, keys];
    return toStanding(orderId, await this.#database.query<StandingRow>(recall, values));
  }

  /** Notes that an episode accepted a cancellation; false when it does not have the order any more. */
  async note({ orderId, reason: { stored, keys } }: CancelWish, episodeId: string): Promise<boolean> {
    const detail = { reason: saidNothing };
    const event: Omit<CarriedEvent, "time"> = { id: eventIds.cancellation, kind: "cancellation", detail };
    const values = [decodeId(orderId), decodeId(episodeId), JSON.stringify(event), stored, keys];
    return (await this.#database.query(note, values)).length > 0;
  }

  /** Keeps why an order was cancelled where that is not kept yet. */
  async explain({ orderId, reason: { stored, keys } }: CancelWish): Promise<void> {
    await this.#database.query(explain, [decodeId(orderId), stored, keys]);
  }
}
