import { selectList } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { validSecrets } from "../endpoint/webhook-secrets.ts";
import type { Backlog } from "../proof/metrics.ts";
import { audited, effects } from "../proof/webhook-audit.ts";
import type { Claimed, Delivery, DeliveryStatus, Replay, Settled } from "./delivery.ts";

/** So many are replayed with one call. */
export const mostReplayed = 10_000;

/** Of one subject the first is told first: what comes behind it waits until that has ended. */
const isFirst = `not exists (select from webhook_delivery p where p.endpoint_id = d.endpoint_id and p.subject = d.subject
  and p.status = 'pending' and p.place < d.place)`;

/** Takes for each endpoint as many as it has places left. They are given to others when whoever took them says nothing for as long as the lease lasts. */
const claim: SqlText = {
  name: "claim-webhook-deliveries",
  text: `with due as (
      select d.delivery_id from webhook_endpoint e
      left join unnest($1::uuid[], $2::int[]) as busy (endpoint_id, places) on busy.endpoint_id = e.endpoint_id
      cross join lateral (
        select d.delivery_id from webhook_delivery d
        where d.endpoint_id = e.endpoint_id and d.status = 'pending' and d.next_time <= now() and ${isFirst}
        order by d.next_time limit greatest($3 - coalesce(busy.places, 0), 0) for update skip locked
      ) d
      where e.status = 'enabled' and coalesce(e.pause_time <= now(), true)
    )
    update webhook_delivery d set attempts = d.attempts + 1, next_time = now() + $4::float8 * interval '1 millisecond'
    from due, webhook_event v, webhook_endpoint e
    where d.delivery_id = due.delivery_id and v.event_id = d.event_id and e.endpoint_id = d.endpoint_id
    returning d.delivery_id as "deliveryId", d.endpoint_id as "endpointId", d.event_id as "eventId", d.subject, d.place,
      d.attempts, d.attempts - d.attempts_before as tried, d.begin_time as "beginTime", v.type, v.data,
      v.event_time as time, e.url, ${validSecrets} as secrets`,
};

/** Those behind it are put off as well: they are not looked at again and again before. */
const settle: SqlText = {
  name: "settle-webhook-delivery",
  text: `with settled as (
      update webhook_delivery set status = $3, outcome = $4, next_time = now() + $5::float8 * interval '1 millisecond',
        end_time = case when $3 = 'pending' then null else now() end
      where delivery_id = $1 and attempts = $2 and status = 'pending'
      returning endpoint_id, subject, place, status, next_time
    ), behind as (
      update webhook_delivery d set next_time = greatest(d.next_time, s.next_time) from settled s
      where s.status = 'pending' and d.endpoint_id = s.endpoint_id and d.subject = s.subject and d.status = 'pending'
        and d.place > s.place
    )
    select status from settled`,
};

/** What was not answered because the process ends. */
const release: SqlText = {
  name: "release-webhook-delivery",
  text: `update webhook_delivery set next_time = now()
    where delivery_id = $1 and attempts = $2 and status = 'pending'`,
};

const columns = selectList<Delivery>(
  {
    deliveryId: true,
    endpointId: true,
    eventId: true,
    eventType: "v.type",
    subject: true,
    status: true,
    attempts: true,
    outcome: true,
    nextTime: true,
    eventTime: "v.event_time",
    endTime: true,
  },
  "d",
);

const list: SqlText = {
  name: "list-webhook-deliveries",
  text: `select ${columns} from webhook_delivery d join webhook_event v on v.event_id = d.event_id
    where d.endpoint_id = $1 and ($2::uuid is null or d.delivery_id < $2) and ($3 = '' or d.status = $3)
    order by d.delivery_id desc limit $4`,
  prepared: false,
};

const replay: SqlText = {
  name: "replay-webhook-deliveries",
  text: `with chosen as (
      select d.delivery_id from webhook_delivery d join webhook_event v on v.event_id = d.event_id
      where d.endpoint_id = $1 and d.status <> 'pending' and (not $4 or d.status = 'failed')
        and ($2::uuid is null or d.delivery_id = $2) and ($3::timestamptz is null or v.event_time >= $3)
      order by v.event_time limit $5 for no key update of d
    )
    update webhook_delivery d set status = 'pending', end_time = null, attempts_before = d.attempts, begin_time = now(),
      next_time = now()
    from chosen, webhook_event v where d.delivery_id = chosen.delivery_id and v.event_id = d.event_id
    returning v.event_time as time`,
  prepared: false,
};

/** Those of endpoints that are gone. Whose there are is found by the index, one endpoint after the other: there are few. */
const forgetDeliveries: SqlText = {
  name: "forget-webhook-deliveries",
  text: `delete from webhook_delivery where delivery_id = any(array(
      with recursive known as (
        (select endpoint_id from webhook_delivery order by endpoint_id limit 1)
        union all
        select (select d.endpoint_id from webhook_delivery d where d.endpoint_id > known.endpoint_id
          order by d.endpoint_id limit 1) from known where known.endpoint_id is not null
      )
      select d.delivery_id from known join webhook_delivery d on d.endpoint_id = known.endpoint_id
      where not exists (select from webhook_endpoint e where e.endpoint_id = known.endpoint_id) limit $1)) returning 1`,
};

/** Those that are old, whatever became of their deliveries. */
const forgetEvents: SqlText = {
  name: "forget-webhook-events",
  text: `with old as (
      select event_id from webhook_event where receive_time < now() - $1 * interval '1 day' order by receive_time limit $2
    ), deliveries as (
      delete from webhook_delivery d using old where d.event_id = old.event_id
    )
    delete from webhook_event v using old where v.event_id = old.event_id returning 1`,
};

const backlog: SqlText = {
  name: "webhook-backlog",
  text: `select
      (select count(*)::int from webhook_endpoint where status = 'enabled') as enabled,
      (select count(*)::int from webhook_endpoint where status = 'disabled') as disabled,
      (select count(*)::int from webhook_endpoint where status = 'unverified') as unverified,
      coalesce(sum(due.count), 0)::int as due,
      coalesce(max(extract(epoch from now() - due.oldest)), 0)::float8 as "ageSeconds"
    from webhook_endpoint e cross join lateral (
      select count(*) as count, min(next_time) as oldest from (
        select next_time from webhook_delivery d
        where d.endpoint_id = e.endpoint_id and d.status = 'pending' and d.next_time <= now() and ${isFirst}
        order by d.next_time limit 10000
      ) first
    ) due where e.status = 'enabled' and coalesce(e.pause_time <= now(), true)`,
};

/** How many requests there are to an endpoint. */
export interface Busy {
  readonly endpointId: string;
  readonly places: number;
}

/** What is made again. */
export interface Replayed {
  readonly count: number;
  /** From when on there may be more; undefined when there are none. */
  readonly next: Date | undefined;
}

/** Keeps what endpoints are told. */
export class DeliveryRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Takes what is due, up to `lanes` for each endpoint, for as long as the lease. */
  async claim(busy: readonly Busy[], { lanes, leaseMs }: { lanes: number; leaseMs: number }): Promise<Claimed[]> {
    const ids = busy.map(({ endpointId }) => decodeId(endpointId));
    const rows = await this.#database.query<Claimed>(claim, [ids, busy.map(({ places }) => places), lanes, leaseMs]);
    return rows.map((row) => ({
      ...row,
      deliveryId: encodeId(row.deliveryId),
      endpointId: encodeId(row.endpointId),
      eventId: encodeId(row.eventId),
    }));
  }

  /** Writes down what came of it; false when another process has taken it meanwhile. */
  async settle({ deliveryId, attempts }: Pick<Claimed, "deliveryId" | "attempts">, settled: Settled): Promise<boolean> {
    const pauseMs = settled.status === "pending" ? settled.pauseMs : 0;
    const values = [decodeId(deliveryId), attempts, settled.status, settled.outcome, pauseMs];
    return (await this.#database.query(settle, values)).length > 0;
  }

  /** Has it taken again at once. */
  async release({ deliveryId, attempts }: Pick<Claimed, "deliveryId" | "attempts">): Promise<void> {
    await this.#database.query(release, [decodeId(deliveryId), attempts]);
  }

  /** At most `limit` deliveries, the newest first, older than `after`; of any status when it is empty. */
  async list(
    { endpointId, status }: { endpointId: string; status: DeliveryStatus | "" },
    { after, limit }: { after: string | undefined; limit: number },
  ): Promise<Delivery[]> {
    const values = [decodeId(endpointId), after === undefined ? null : decodeId(after), status, limit];
    const rows = await this.#database.query<Delivery>(list, values);
    return rows.map((row) => ({
      ...row,
      deliveryId: encodeId(row.deliveryId),
      endpointId: encodeId(row.endpointId),
      eventId: encodeId(row.eventId),
    }));
  }

  /** Has deliveries that have ended made again, those of the oldest events, at most {@link mostReplayed}. */
  async replay({ endpointId, deliveryId, from, failedOnly }: Replay): Promise<Replayed> {
    const id = deliveryId === undefined ? null : decodeId(deliveryId);
    const values = [decodeId(endpointId), id, from ?? null, failedOnly, mostReplayed];
    const times = await this.#database.transaction(async (tx) => {
      const rows = await tx.query<{ time: Date }>(replay, values);
      const details = { deliveries: String(rows.length) };
      const effect = { action: "deliveries.replayed", subject: endpointId, details } as const;
      if (rows.length > 0) await tx.query(audited, [effects(effect)]);
      return rows.map(({ time }) => time.getTime());
    });
    const last = times.reduce((latest, time) => Math.max(latest, time), 0);
    return { count: times.length, next: times.length < mostReplayed ? undefined : new Date(last) };
  }

  /** Forgets what is older than so many days, and what was to be told to those who are gone; returns how much. For a `Relay`. */
  async forget(days: number, limit: number): Promise<number> {
    const gone = await this.#database.query(forgetDeliveries, [limit]);
    const old = await this.#database.query(forgetEvents, [days, limit]);
    return gone.length + old.length;
  }

  /** How much there is to do. */
  async backlog(): Promise<Backlog> {
    const [row] = await this.#database.query<Backlog>(backlog);
    return row ?? { due: 0, ageSeconds: 0, enabled: 0, disabled: 0, unverified: 0 };
  }
}
