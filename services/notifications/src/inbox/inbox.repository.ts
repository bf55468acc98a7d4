import { writtenColumns } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import type { Facts, InboxBacklog } from "../notification/notification.ts";
import type { HeardEvent, HeardType } from "./heard-event.ts";

/** An event of which it is not decided yet who is to be told. */
export interface OpenEvent extends HeardEvent {
  /** When it was heard. */
  readonly receiveTime: Date;
  /** How often that was tried, this time included. */
  readonly attempts: number;
}

interface InsertedEvent {
  readonly event_id: string;
  readonly type: string;
  readonly order_id: string | undefined;
  readonly customer_id: string | undefined;
  readonly about: string;
  readonly facts: Facts;
  readonly event_time: string;
}

const inserted = writtenColumns<InsertedEvent>({
  event_id: "uuid",
  type: "text",
  order_id: "uuid",
  customer_id: "uuid",
  about: "text",
  facts: "jsonb",
  event_time: "timestamptz",
});

/** In the order in which they came; one that is known is the same. */
const store: SqlText = {
  name: "store-heard-events",
  text: `insert into inbox_event (${inserted.names})
    select ${inserted.names} from json_to_recordset($1::json) as e(n int, ${inserted.typed}) order by e.n
    on conflict (event_id) do nothing returning 1`,
};

/**
 * Those that are begun are somebody's for a while; who comes twice decides the same. Of each order only the first: what it leads to is told in
 * the order in which things happened.
 */
const take: SqlText = {
  name: "take-open-events",
  text: `with due as (
      select o.event_id from inbox_event o where o.plan_time is null and o.next_time <= now()
        and not exists (select from inbox_event b
          where b.order_id = o.order_id and b.plan_time is null and b.sequence < o.sequence)
      order by o.sequence limit $1 for update skip locked
    ), taken as (
      update inbox_event e set attempts = attempts + 1, next_time = now() + $2::float8 * interval '1 millisecond'
      from due where e.event_id = due.event_id returning e.*
    )
    select event_id as "eventId", type, event_time as "time", receive_time as "receiveTime", order_id as "orderId", customer_id as "customerId", about, facts, attempts
    from taken order by sequence`,
};

const postpone: SqlText = {
  name: "postpone-open-event",
  text: `update inbox_event set next_time = now() + $2::float8 * interval '1 millisecond'
    where event_id = $1 and plan_time is null`,
};

const close: SqlText = {
  name: "close-open-event",
  text: "update inbox_event set plan_time = now() where event_id = $1 and plan_time is null",
};

const countOpen: SqlText = {
  name: "count-open-events",
  text: `select count(*)::int as open, coalesce(extract(epoch from now() - min(receive_time)), 0)::float8 as "ageSeconds"
    from inbox_event where plan_time is null`,
};

const forget: SqlText = {
  name: "forget-heard-events",
  text: `delete from inbox_event where ctid = any(array(
    select ctid from inbox_event where receive_time < now() - $1 * interval '1 day' and plan_time is not null
    order by receive_time limit $2)) returning 1`,
};

interface OpenRow extends Omit<OpenEvent, "orderId" | "customerId"> {
  readonly type: HeardType;
  readonly orderId: string | null;
  readonly customerId: string | null;
}

function toRow({ eventId, type, time, orderId, customerId, about, facts }: HeardEvent, n: number) {
  const row: InsertedEvent = {
    event_id: decodeId(eventId),
    type,
    order_id: orderId && decodeId(orderId),
    customer_id: customerId && decodeId(customerId),
    about,
    facts,
    event_time: time.toISOString(),
  };
  return { n, ...row };
}

function toEvent(row: OpenRow): OpenEvent {
  const { eventId, orderId, customerId } = row;
  return {
    ...row,
    eventId: encodeId(eventId),
    orderId: orderId === null ? undefined : encodeId(orderId),
    customerId: customerId === null ? undefined : encodeId(customerId),
  };
}

/** Keeps the events that were heard, each once, until it is decided who is to be told, and their ids for longer. */
export class InboxRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Writes events down; returns how many were not known. */
  async store(tx: Transaction, events: readonly HeardEvent[]): Promise<number> {
    if (events.length === 0) return 0;
    return (await tx.query(store, [JSON.stringify(events.map(toRow))])).length;
  }

  /** Up to so many of which it is not decided who is to be told; whoever takes them leaves them alone for so long. */
  async take(limit: number, leaseMs: number): Promise<OpenEvent[]> {
    return (await this.#database.query<OpenRow>(take, [limit, leaseMs])).map(toEvent);
  }

  /** Has one looked at again after a while. */
  async postpone(eventId: string, ms: number): Promise<void> {
    await this.#database.query(postpone, [decodeId(eventId), ms]);
  }

  /** Nobody is to be told of it. */
  async close(eventId: string): Promise<void> {
    await this.#database.query(close, [decodeId(eventId)]);
  }

  async backlog(): Promise<InboxBacklog> {
    const [row] = await this.#database.query<InboxBacklog>(countOpen);
    return row ?? { open: 0, ageSeconds: 0 };
  }

  /** Forgets ids of events that were heard so many days ago; returns how many, at most `limit`. */
  async forget(days: number, limit: number): Promise<number> {
    return (await this.#database.query(forget, [days, limit])).length;
  }
}
