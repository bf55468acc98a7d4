import { Migration } from "@mikro-orm/migrations";

/**
 * What an order remembers between its episodes, what happened to it since, and which workflows carry orders now.
 *
 * Only additions: a process of the version before inserts its rows and reads them as ever. Its orders are those whose saga is
 * not their own (`saga_id <> order_id`).
 *
 * What changes with each episode stands in no index, so that these updates are HOT; hence the space that is left in each
 * page, and hence also that `saga_id`, which is indexed, stays what it was. The indexes of what is parked and of who is awaited
 * were made here at first, which kept everybody from writing for as long as it took; see `0005_indexes`.
 */
export class Episodes extends Migration {
  override up(): void {
    for (const sql of [...order, ...event, ...episode]) this.addSql(sql);
  }

  override down(): void {
    for (const table of ["episode", "order_event"]) this.addSql(`drop table ${table}`);
    this.addSql(`alter table customer_order ${columns.map((column) => `drop column ${column}`).join(", ")}`);
    this.addSql("alter table customer_order reset (fillfactor)");
  }
}

const columns = [
  "episode_id",
  "last_episode_id",
  "episode_events",
  "saga",
  "cancellable",
  "cancel_time",
  "waits_for",
  "wait_time",
  "parked_step",
  "parked_reason",
  "parked_error",
  "park_time",
];

const order = [
  "alter table customer_order set (fillfactor = 70)",
  `alter table customer_order
    add column episode_id uuid,
    add column last_episode_id uuid,
    add column episode_events jsonb,
    add column saga json,
    add column cancellable boolean not null default false,
    add column cancel_time timestamptz,
    add column waits_for text,
    add column wait_time timestamptz,
    add column parked_step text,
    add column parked_reason text,
    add column parked_error text,
    add column park_time timestamptz(3)`,
  "comment on column customer_order.episode_id is 'the workflow that carries the order now; null while it rests'",
  "comment on column customer_order.last_episode_id is 'the workflow that carried it last'",
  "comment on column customer_order.episode_events is 'what the episode was started for; goes back when it is lost'",
  "comment on column customer_order.saga is 'what the saga remembers; belongs to the worker, kept as it came'",
  "comment on column customer_order.cancellable is 'whether a cancellation is accepted while the order rests'",
  "comment on column customer_order.cancel_time is 'when a cancellation was accepted'",
  "comment on column customer_order.waits_for is 'the service that was away in the last episode'",
  "comment on column customer_order.wait_time is 'since when it waits for that service'",
  "comment on column customer_order.park_time is 'since when the step waits for an operator'",
];

/** Rows come and go: what is dead is to be removed by its number, not by its share of the few that live. */
const queue = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000";

const event = [
  `create table order_event (
    order_id uuid not null,
    event_id text collate "C" not null,
    kind text not null constraint order_event_kind_check check (kind in
      ('placed', 'shipment', 'cancellation', 'decision', 'retry')),
    detail jsonb not null default '{}',
    due_time timestamptz not null default now(),
    create_time timestamptz not null default clock_timestamp(),
    constraint order_event_pkey primary key (order_id, event_id)
  ) with (${queue})`,
  "comment on table order_event is 'what happened to orders and was not taken into an episode yet'",
  "comment on column order_event.event_id is 'the same for what happens twice, so that it is one event'",
  "create index order_event_due_idx on order_event (due_time)",
  "grant select, insert, update, delete on order_event to orders",
];

const episode = [
  `create table episode (
    episode_id uuid not null,
    order_ids uuid[] not null,
    start_time timestamptz not null default now(),
    lease_time timestamptz not null default now(),
    ack_time timestamptz,
    constraint episode_pkey primary key (episode_id)
  ) with (${queue})`,
  "comment on table episode is 'workflows that carry orders; gone when all of them have settled'",
  "comment on column episode.lease_time is 'when a process last took the start on; others leave it alone for a while'",
  "comment on column episode.ack_time is 'when the worker acknowledged the start'",
  "create index episode_start_time_idx on episode (start_time, episode_id)",
  "create index episode_unacknowledged_idx on episode (lease_time) where ack_time is null",
  "grant select, insert, update, delete on episode to orders",
];
