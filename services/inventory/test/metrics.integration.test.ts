import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Registry } from "prom-client";
import { newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { inventoryDatabase, inventoryOn, keyOf, minute, pass, Shop } from "./harness.ts";

describe("stock metrics", () => {
  let test: TestDatabase;
  before(async () => {
    // One connection: the server's statistics of what it did are complete when it says so.
    test = await inventoryDatabase(1);
  });
  after(() => test[Symbol.asyncDispose]());

  it("count what the ledger has, each movement and each expired hold once, whatever was repeated or refused", async () => {
    const registry = new Registry();
    const shop = new Shop(test.database, inventoryOn(test.database, { registry }));
    await shop.deliver("a", "l1:50", "l2:20");
    const orders = Array.from({ length: 40 }, () => newId());
    const twice = orders.flatMap((orderId) => [
      shop.reserve("a:2", orderId, orderId),
      shop.reserve("a:2", orderId, orderId),
    ]);
    const results = await Promise.allSettled(twice);
    const held = orders.filter((_, index) => results[2 * index]?.status === "fulfilled");
    assert.equal(held.length, 35);
    for (const orderId of held.slice(0, 10)) await shop.do({ kind: "confirm", orderId });
    await Promise.all(held.slice(0, 5).map((orderId) => shop.do({ kind: "commit", orderId })));
    await Promise.all(held.slice(5, 12).map((orderId) => shop.do({ kind: "release", orderId })));
    const parts = [{ sku: "a", locationId: "l1", quantity: 1n }];
    const back = { kind: "restock", orderId: held[0] ?? "", returnId: newId(), parts } as const;
    for (const requestId of ["back-1", "back-2"]) await shop.do(back, requestId);
    await pass(test.database, 20 * minute);
    await Promise.all([shop.stock.expire(), shop.stock.expire()]);
    const rows = await test.database.query<{ kind: string; count: bigint }>(
      "select kind, count(*) as count from stock_movement group by kind order by kind",
    );
    assert.deepEqual(
      await valuesOf(registry, "inventory_stock_movements_total", "kind"),
      Object.fromEntries(rows.map(({ kind, count }) => [kind, Number(count)])),
    );
    const [expired] = await test.database.query<{ orders: bigint }>(
      "select count(distinct order_id) as orders from stock_movement where kind = 'expiry'",
    );
    assert.equal(Number(expired?.orders), 23);
    assert.deepEqual(await valuesOf(registry, "inventory_expired_holds_total"), { "": 23 });
  });

  it("count the levels that are low, as each threshold has it", async () => {
    const inventory = inventoryOn(test.database);
    const { reader } = inventory;
    const shop = new Shop(test.database, inventory);
    for (const [sku, amount] of [0, 1, 5, 6, 9, 10, 11, 99, 100, 101].entries()) {
      await shop.deliver(`low-${sku}`, `x:${amount + 3}`);
      await shop.reserve(`low-${sku}:3`);
    }
    for (const threshold of [0, 1, 5, 9, 10, 99, 100, 1_000_000_000]) {
      const [row] = await test.database.query<{ levels: bigint }>(
        `select count(*) as levels from stock_level where on_hand - reserved <= ${threshold}`,
      );
      assert.equal(await reader.lowLevels(threshold), Number(row?.levels), `at ${threshold}`);
    }
    const adjust = { kind: "adjust", sku: "low-9", locationId: "x", delta: -98n, reason: "count" } as const;
    const before = await reader.lowLevels(5);
    await shop.stock.adjust(keyOf(adjust), adjust);
    assert.equal(await reader.lowLevels(5), before + 1);
  });

  it("are cheap for the level that changes all the time: it is updated in place", async () => {
    const shop = new Shop(test.database);
    await shop.deliver("hot", "l:5000000");
    const before = await updates();
    for (let round = 0; round < 100; round += 1) await shop.reserve("hot:1");
    const after = await updates();
    assert.ok(after.all - before.all >= 100n);
    assert.equal(after.all - before.all, after.inPlace - before.inPlace);
  });

  async function updates(): Promise<{ all: bigint; inPlace: bigint }> {
    await test.database.query("select pg_stat_force_next_flush()");
    const [row] = await test.database.query<{ all: bigint; inPlace: bigint }>(
      `select pg_stat_get_tuples_updated('stock_level'::regclass) as all,
         pg_stat_get_tuples_hot_updated('stock_level'::regclass) as "inPlace"`,
    );
    assert.ok(row);
    return row;
  }
});

/** The values of a counter by one of its labels. */
async function valuesOf(registry: Registry, name: string, label = ""): Promise<Record<string, number>> {
  const metric = await registry.getSingleMetric(name)?.get();
  return Object.fromEntries((metric?.values ?? []).map(({ labels, value }) => [String(labels[label] ?? ""), value]));
}
