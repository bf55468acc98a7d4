// When subscribers are told that there is little left of an article at a location, or enough again.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { stockImporter } from "../src/imported-stock.ts";
import { StockRepository } from "../src/stock.repository.ts";
import { inventoryDatabase, keyOf, openReplica, Shop } from "./harness.ts";

describe("the crossings of a level", () => {
  let test: TestDatabase;
  before(async () => {
    test = await inventoryDatabase();
  });
  after(() => test[Symbol.asyncDispose]());

  /** What was told of an article, in the order in which it happened: `low main 0`. */
  async function toldOf(sku: string): Promise<string[]> {
    const rows = await test.database.query<{ action: string; details: Record<string, string> }>(
      "select action, details from audit_event where action in ('stock.low', 'stock.available') order by sequence",
    );
    return rows
      .filter(({ details }) => details.sku === sku)
      .map(({ action, details }) => `${action.slice("stock.".length)} ${details.location} ${details.available}`);
  }

  it("are told when the last is taken, and when there is some again", async () => {
    const shop = new Shop(test.database);
    await shop.deliver("a", "main:3");
    const first = newId();
    await shop.reserve("a:2", first);
    await shop.reserve("a:1");
    await shop.do({ kind: "release", orderId: first });
    await shop.deliver("a", "main:5");
    assert.deepEqual(await toldOf("a"), ["available main 3", "low main 0", "available main 2"]);
    const [event] = (await readAuditLog(test.database)).filter(({ action }) => action === "stock.low");
    assert.equal(event?.subject, "a@main");
    assert.deepEqual(event?.details, { sku: "a", location: "main", available: "0", threshold: "0" });
    assert.equal(event?.actor, "service:inventory");
  });

  it("are told by the threshold that is set", async () => {
    const stock = new StockRepository(test.database, { lowAt: 5 });
    const adjust = async (delta: bigint) => {
      const command = { kind: "adjust", sku: "b", locationId: "main", delta, reason: "count" } as const;
      await stock.adjust(keyOf(command), command);
    };
    for (const delta of [5n, 1n, -1n, -5n, 20n]) await adjust(delta);
    assert.deepEqual(await toldOf("b"), ["available main 6", "low main 5", "available main 20"]);
  });

  it("are told once each, in turn, however many take and give at the same time", async () => {
    const other = await openReplica(test, "other");
    const shops = [new Shop(test.database), new Shop(other)];
    await shops[0]?.deliver("c", "main:4");
    const buyers = Array.from({ length: 40 }, async (_, index) => {
      const shop = shops[index % 2] as Shop;
      for (let round = 0; round < 5; round += 1) {
        const orderId = newId();
        const reserved = await shop.reserve("c:1", orderId).then(
          () => true,
          () => false,
        );
        if (reserved) await shop.do({ kind: "release", orderId });
      }
    });
    await Promise.all(buyers);
    await other.close();
    const told = await toldOf("c");
    assert.ok(told.length > 1, "it was sold out at some time");
    assert.deepEqual(
      told.map((text) => text.startsWith("low")),
      told.map((_, index) => index % 2 === 1),
    );
    assert.equal(told.at(-1), "available main 4");
  });

  it("are told of what is imported, once", async () => {
    const importer = stockImporter("old-shop", 2);
    const record = (sku: string, onHand: bigint) => ({
      externalId: `${sku}@main`,
      message: { sku, locationId: "main", onHand },
    });
    const records = [record("d", 2n), record("e", 3n)];
    for (let round = 0; round < 2; round += 1) {
      await test.database.transaction((tx) => importer.write(tx, records as never));
    }
    assert.deepEqual(await toldOf("d"), []);
    assert.deepEqual(await toldOf("e"), ["available main 3"]);
  });
});
