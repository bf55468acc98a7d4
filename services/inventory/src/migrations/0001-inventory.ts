import { Migration } from "@mikro-orm/migrations";
import { idempotencyTable } from "#platform/database/idempotency.ts";
import { resetDefaults, setDefaults } from "#platform/database/settings.ts";

/**
 * Every statement of the service finds its rows by an index, and is prepared and planned once. Without the first three, a
 * plan that is made while a table is still empty would read it from end to end until the statistics catch up; without the
 * last, the statement that writes a batch is planned anew for each batch.
 */
const settings = {
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  plan_cache_mode: "force_generic_plan",
};

/** Levels, reservations, the ledger of movements, and the keys of repeatable calls. */
export class Stock extends Migration {
  override up(): void {
    // Room on each page, so that a level that changes all the time is updated in place.
    this.addSql(`create table stock_level (
      sku text not null,
      location_id text not null,
      on_hand bigint not null default 0,
      reserved bigint not null default 0,
      update_time timestamptz not null default now(),
      primary key (sku, location_id),
      constraint stock_level_in_bounds check (reserved >= 0 and reserved <= on_hand)
    ) with (fillfactor = 50)`);
    this.addSql("create index stock_level_location_idx on stock_level (location_id, sku)");
    // A reservation is written as a whole, thousands in a second: its parts are in its row.
    this.addSql(`create table reservation (
      order_id uuid primary key,
      allocations jsonb not null,
      expire_time timestamptz,
      create_time timestamptz not null default now(),
      update_time timestamptz not null default now()
    ) with (fillfactor = 80)`);
    this.addSql("create index reservation_expire_time_idx on reservation (expire_time) where expire_time is not null");
    this.addSql(`create view allocation as
      select r.order_id, a.sku, a.location_id, a.quantity, a.status from reservation as r
      cross join jsonb_to_recordset(r.allocations) as a (sku text, location_id text, quantity bigint, status text)`);
    this.addSql(`create table stock_movement (
      movement_id bigint generated always as identity primary key,
      sku text not null,
      location_id text not null,
      kind text not null check (kind in ('adjustment', 'reservation', 'commit', 'release', 'expiry')),
      on_hand_delta bigint not null,
      reserved_delta bigint not null,
      order_id uuid,
      reason text,
      create_time timestamptz not null default now()
    )`);
    this.addSql("create index stock_movement_sku_idx on stock_movement (sku, movement_id)");
    this.addSql("create index stock_movement_location_idx on stock_movement (location_id, movement_id)");
    this.addSql(
      "create index stock_movement_order_idx on stock_movement (order_id, movement_id) where order_id is not null",
    );
    this.addSql("grant select, insert, update on stock_level, reservation to inventory");
    this.addSql("grant select on allocation to inventory");
    // The ledger is append-only: not even the service can change what happened.
    this.addSql("grant select, insert on stock_movement to inventory");
    for (const sql of idempotencyTable("inventory")) this.addSql(sql);
    for (const sql of setDefaults(settings)) this.addSql(sql);
  }

  override down(): void {
    for (const sql of resetDefaults(settings)) this.addSql(sql);
    this.addSql("drop table idempotency_key");
    this.addSql("drop table stock_movement");
    this.addSql("drop view allocation");
    this.addSql("drop table reservation");
    this.addSql("drop table stock_level");
  }
}
