import { Migration } from "@mikro-orm/migrations";

/**
 * Counts of orders, what of each order is in them, and how far they have come. A version before this one writes no row of them: what it does
 * to orders is counted from the audit log.
 *
 * A generation is one count from the beginning; only one is shown, others are being made or taken away.
 */
export class Statistics extends Migration {
  override up(): void {
    for (const sql of [...counts, ...facts, ...state]) this.addSql(sql);
  }

  override down(): void {
    for (const table of ["order_statistics_state", "order_statistics_fact", "order_statistics"]) {
      this.addSql(`drop table ${table}`);
    }
  }
}

const counts = [
  `create table order_statistics (
    generation int not null,
    day date not null,
    sku text collate "C" not null,
    currency char(3) not null,
    status text collate "C" not null,
    orders bigint not null,
    units bigint not null,
    ordered bigint not null,
    captured bigint not null,
    refunded bigint not null,
    constraint order_statistics_pkey primary key (generation, day, sku, currency, status)
  ) with (fillfactor = 70)`,
  "comment on table order_statistics is 'orders by the day, in UTC, on which they were placed, and where they stand'",
  "comment on column order_statistics.sku is 'the article; empty: whole orders'",
  "create index order_statistics_sku_idx on order_statistics (generation, sku, day, currency, status)",
  "create index order_statistics_none_idx on order_statistics (generation) where orders = 0",
  "grant select, insert, update, delete on order_statistics to orders",
];

const facts = [
  `create table order_statistics_fact (
    generation int not null,
    order_id uuid not null,
    day date not null,
    currency char(3) not null,
    status text not null,
    units bigint not null,
    ordered bigint not null,
    captured bigint not null,
    refunded bigint not null,
    articles jsonb not null,
    constraint order_statistics_fact_pkey primary key (generation, order_id)
  ) with (fillfactor = 80)`,
  "comment on table order_statistics_fact is 'what of an order is in the counts: it is taken from them when the order changes'",
  "comment on column order_statistics_fact.articles is '[sku, units, what they cost]'",
  "grant select, insert, update, delete on order_statistics_fact to orders",
];

const state = [
  `create table order_statistics_state (
    only_row boolean not null default true constraint order_statistics_state_one_row check (only_row),
    generation int not null default 1,
    rebuilding int,
    transaction xid8 not null default '0',
    event_id uuid not null default '00000000-0000-0000-0000-000000000000',
    true_until_time timestamptz(3),
    constraint order_statistics_state_pkey primary key (only_row)
  )`,
  "comment on table order_statistics_state is 'how far the counts have come'",
  "comment on column order_statistics_state.generation is 'the one that is shown'",
  "comment on column order_statistics_state.rebuilding is 'the one that is being made; null: none'",
  "comment on column order_statistics_state.transaction is 'with event_id: the last event of the audit log behind which no other can come any more'",
  "comment on column order_statistics_state.true_until_time is 'everything that happened before is counted; null: nothing yet'",
  "insert into order_statistics_state default values",
  "grant select, update (generation, rebuilding, transaction, event_id, true_until_time) on order_statistics_state to orders",
];
