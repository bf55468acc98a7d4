import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { migrateDown, migrateUp, pendingMigrations } from "#platform/database/migrate.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { migrations } from "../src/migrations/list.ts";
import { readBackOrders } from "../src/stock-queue-statements.ts";
import { levelsQuery, movementsQuery } from "../src/stock-reader.ts";
import * as statements from "../src/stock-statements.ts";
import { inventoryDatabase } from "./harness.ts";

describe("the schema of inventory", () => {
  let test: TestDatabase;
  before(async () => {
    test = await inventoryDatabase();
  });
  after(() => test[Symbol.asyncDispose]());

  /** The plan that a connection keeps, made while the tables are empty. */
  async function plan(sql: SqlText): Promise<string> {
    const rows = await test.database.query<{ "QUERY PLAN": string }>(`explain (generic_plan) ${sql.text}`);
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  }

  const commands: [SqlText, ...string[]][] = [
    [statements.lockReservations, "reservation_pkey"],
    [statements.findReservations, "reservation_pkey"],
    [statements.lockLevels, "stock_level_pkey"],
    [statements.lockLevelsOfOrders, "stock_level_pkey", "reservation_pkey"],
    [statements.writeStock, "stock_level_(pkey|location_idx)", "reservation_pkey"],
    [statements.findExpired, "reservation_expire_time_idx"],
    [statements.countLow, "stock_level_available_idx"],
  ];
  for (const [sql, ...indexes] of commands) {
    it(`finds its rows by index: ${sql.name}`, async () => {
      const text = await plan(sql);
      assert.doesNotMatch(text, /Seq Scan|Hash Join|Merge Join/);
      for (const index of indexes) assert.match(text, new RegExp(index));
    });
  }

  const page = { limit: 51 };
  const after2 = { limit: 51, after: ["a", "l1"] } as const;
  const before2 = { limit: 51, after: 7n };
  const lists: [string, SqlText, RegExp][] = [
    ["all levels", levelsQuery({}, page).sql, /stock_level_pkey/],
    [
      "all levels, next page",
      levelsQuery({}, after2).sql,
      /stock_level_pkey.*\s+Index Cond: \(ROW\(sku, location_id\)/,
    ],
    ["levels of a SKU", levelsQuery({ sku: "a" }, after2).sql, /stock_level_pkey.*\s+Index Cond: .*sku = /],
    [
      "levels at a location",
      levelsQuery({ locationId: "l" }, after2).sql,
      /stock_level_location_idx.*\s+Index Cond: .*sku > /,
    ],
    ["one level", levelsQuery({ sku: "a", locationId: "l" }, page).sql, /stock_level_(pkey|location_idx)/],
    ["all movements", movementsQuery({}, before2).sql, /Backward using stock_movement_pkey/],
    ["movements of a SKU", movementsQuery({ sku: "a" }, before2).sql, /Backward using stock_movement_sku_idx/],
    [
      "movements at a location",
      movementsQuery({ locationId: "l" }, page).sql,
      /Backward using stock_movement_location_idx/,
    ],
    ["an order's movements", movementsQuery({ orderId: newId() }, page).sql, /Backward using stock_movement_order_idx/],
    ["who waits for an article", readBackOrders, /back_order_line_pkey.*\s+Index Cond: .*sku = .*place > /],
    [
      "a SKU's movements at a location",
      movementsQuery({ sku: "a", locationId: "l" }, before2).sql,
      /Backward using stock_movement_(sku|location)_idx/,
    ],
  ];
  for (const [name, sql, expected] of lists) {
    it(`has an index in the order of the list: ${name}`, async () => {
      const text = await plan(sql);
      assert.match(text, expected);
      assert.doesNotMatch(text, /Seq Scan|Sort/);
    });
  }

  it("keeps levels in bounds whatever writes them", async () => {
    await test.database.query("insert into stock_level (sku, location_id, on_hand, reserved) values ('a', 'l', 1, 1)");
    for (const change of ["on_hand = 0", "reserved = 2", "reserved = -1"]) {
      await assert.rejects(test.database.query(`update stock_level set ${change}`), { code: "23514" });
    }
  });

  it("gives the runtime role no more than it needs", async () => {
    const forbidden = [
      "update stock_movement set reason = 'x'",
      "delete from stock_movement",
      "truncate stock_movement",
      "delete from stock_level",
      "delete from reservation",
      "update idempotency_key set response = ''",
      "create table mine (id int)",
      "alter table stock_level drop constraint stock_level_in_bounds",
    ];
    for (const sql of forbidden) await assert.rejects(test.database.query(sql), { code: "42501" }, sql);
  });

  it("migrates down to nothing and up again", async () => {
    const options = { url: test.ownerUrl, migrations };
    const names = migrations.map((migration) => migration.name);
    assert.deepEqual(await migrateDown(options, names[0]), [...names].reverse());
    const [left] = await test.database.query<{ tables: string[] }>(
      "select array_agg(tablename::text) as tables from pg_tables where schemaname = 'public'",
    );
    assert.deepEqual(left?.tables, ["schema_migration"]);
    assert.deepEqual(await pendingMigrations(test.database, migrations), names);
    assert.deepEqual(await migrateUp(options), names);
    assert.deepEqual(await pendingMigrations(test.database, migrations), []);
  });
});
