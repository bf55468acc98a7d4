import { selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Happening } from "./happening.ts";
import { type Lease, LeaseLost, type Statements } from "./operation.repository.ts";
import type { Operation } from "./operation.ts";

/** One that was written down. */
export interface ListedHappening extends Happening {
  readonly position: bigint;
}

const columns = selectList<ListedHappening>({
  position: true,
  eventId: true,
  time: true,
  authorizationKey: true,
  kind: true,
  key: true,
  code: true,
  disputeId: true,
  state: true,
  currency: true,
  amount: true,
  respondByTime: true,
});

const names = `event_id, kind, authorization_key, time, key, code, dispute_id, state, currency, amount, respond_by_time`;
const given = `(select $1::text as event_id, $2::text as kind, $3::uuid as authorization_key, $4::timestamptz as time, $5::uuid as key, $6::text as code,
  $7::text as dispute_id, $8::text as state, $9::text as currency, $10::bigint as amount, $11::timestamptz as respond_by_time)`;

/** The number is drawn behind a lock: whoever draws the next one waits until this one can be seen. */
const insert = `numbered as (
    update gateway_event_source set last_position = last_position + 1
    where exists (select from told) returning last_position)
  insert into gateway_event (position, ${names}) select last_position, ${names} from told cross join numbered
  on conflict (event_id) do nothing`;

const add: SqlText = {
  name: "stripe_add_event",
  text: `with told as (select * from ${given} g where not exists (select from gateway_event e where e.event_id = g.event_id)),
    ${insert}`,
};

/** `$12` the lease. */
const revoke: SqlText = {
  name: "stripe_revoke",
  text: `with held as (select key from gateway_authorization where key = $3 and lease_id = $12 for update),
    failed as (
      update gateway_operation o set state = 'declined', code = $6
      from held where o.key = $5 and o.authorization_key = held.key and o.kind = 'refund' and o.state = 'approved'
      returning o.authorization_key, o.amount),
    moved as (update gateway_authorization a set refunded = a.refunded - f.amount from failed f where a.key = f.authorization_key),
    told as (select g.* from ${given} g cross join failed),
    ${insert} returning event_id`,
};

/** A dispute that stands otherwise than it was last told of. `$12` the lease. Each that is told comes behind and not before the one that was told last, whatever the clock. */
const tellDispute: SqlText = {
  name: "stripe_tell_dispute",
  text: `with held as (select key from gateway_authorization where key = $3 and lease_id = $12 for update),
    given as ${given},
    last as (select * from gateway_event where dispute_id = $7 and dispute_id <> '' order by position desc limit 1),
    told as (select g.* from given g cross join held where not exists (
      select from last l where (l.authorization_key, l.code, l.state, l.currency, l.amount, l.respond_by_time)
        is not distinct from (g.authorization_key, g.code, g.state, g.currency, g.amount, g.respond_by_time))),
    numbered as (
      update gateway_event_source set last_position = last_position + 1 where exists (select from told) returning last_position),
    written as (
      insert into gateway_event (position, ${names})
      select n.last_position, t.event_id || ':' || n.last_position, t.kind, t.authorization_key,
        greatest(clock_timestamp(), (select time from last)), t.key, t.code, t.dispute_id, t.state, t.currency, t.amount, t.respond_by_time
      from told t cross join numbered n)
    select key from held`,
};

const list: SqlText = {
  name: "stripe_list_events",
  text: `select ${columns} from gateway_event where position > $1 order by position limit $2`,
};

const lookTime: SqlText = {
  name: "stripe_look_time",
  text: 'select look_time as "lookTime", clock_timestamp() as now from gateway_event_source',
};

const setLookTime: SqlText = {
  name: "stripe_set_look_time",
  text: "update gateway_event_source set look_time = greatest(look_time, $1)",
};

/** Remembers what happened at Stripe by itself. */
export class HappeningRepository {
  readonly #database: Statements;

  constructor(database: Statements) {
    this.#database = database;
  }

  /** Writes down what happened, unless it is known. */
  async add(happening: Happening): Promise<void> {
    await this.#database.query(add, valuesOf(happening));
  }

  /** Takes back a refund that was approved, and writes down that it failed. @throws LeaseLost */
  async revoke({ id }: Lease, { key }: Operation, happening: Happening): Promise<void> {
    const rows = await this.#database.query(revoke, [...valuesOf(happening), id]);
    if (rows.length === 0) throw new LeaseLost(`somebody else works at the authorization of the refund ${key}`);
  }

  /** Writes down how a dispute stands, unless that is what was last written down of it. It was seen with the lease. @throws LeaseLost */
  async tellDispute({ id, authorizationKey }: Lease, dispute: Happening): Promise<void> {
    const rows = await this.#database.query(tellDispute, [...valuesOf(dispute), id]);
    if (rows.length === 0) throw new LeaseLost(`somebody else works at the authorization ${authorizationKey}`);
  }

  /** What happened behind a position, in the order in which it was written down. */
  async list(after: bigint, limit: number): Promise<ListedHappening[]> {
    const rows = await this.#database.query<ListedHappening>(list, [after, limit]);
    return rows.map((row) => ({ ...row, key: row.key ?? undefined, respondByTime: row.respondByTime ?? undefined }));
  }

  /** Until when Stripe was asked for all that happened, and the time now. It is the database's: a replica whose clock is ahead would have all of them look at nothing until then. */
  async lookTime(): Promise<{ readonly lookTime: Date; readonly now: Date }> {
    const [row] = await this.#database.query<{ lookTime: Date; now: Date }>(lookTime);
    if (!row) throw new Error("gateway_event_source has no row");
    return row;
  }

  async setLookTime(time: Date): Promise<void> {
    await this.#database.query(setLookTime, [time]);
  }
}

function valuesOf(happening: Happening): unknown[] {
  const { eventId, kind, authorizationKey, time, key, code, disputeId, state, currency, amount } = happening;
  const { respondByTime = null } = happening;
  return [eventId, kind, authorizationKey, time, key ?? null, code, disputeId, state, currency, amount, respondByTime];
}
