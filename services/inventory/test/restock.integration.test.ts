// What comes back of orders goes on the shelf: each return once, and never more than has left.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { connect, inventoryDatabase, inventoryOn, levels, openReplica, requireExplained, Shop } from "./harness.ts";

describe("what comes back", () => {
  let test: TestDatabase;
  let shop: Shop;
  before(async () => {
    test = await inventoryDatabase();
    shop = new Shop(test.database);
  });
  after(() => test?.[Symbol.asyncDispose]());

  /** An order of some of an article of its own, which has left l1. */
  async function sold(sku: string, quantity: number): Promise<string> {
    await shop.deliver(sku, `l1:${quantity}`);
    const orderId = newId();
    await shop.reserve(`${sku}:${quantity}`, orderId);
    await shop.do({ kind: "confirm", orderId });
    await shop.do({ kind: "commit", orderId });
    return orderId;
  }

  const back = (orderId: string, parts: string, returnId = newId()) => ({
    kind: "restock" as const,
    orderId,
    returnId,
    parts: parts.split(" ").map((item) => {
      const [sku = "", locationId = "", quantity = "0"] = item.split(":");
      return { sku, locationId, quantity: BigInt(quantity) };
    }),
  });

  const levelsOf = async (sku: string) =>
    (await levels(test.database))
      .split(", ")
      .filter((level) => level.startsWith(`${sku}@`))
      .join(", ");

  it("goes on the shelf that is named, also one that never had it, with a movement and a row in the audit log", async () => {
    const orderId = await sold("tea", 5);
    const command = back(orderId, "tea:l1:2 tea:l9:1");
    await shop.do(command);
    assert.equal(await levelsOf("tea"), "tea@l1 2/0, tea@l9 1/0");
    const rows = await test.database.query<{ line: string }>(
      `select concat_ws(' ', location_id, on_hand_delta, reserved_delta, reason) as line from stock_movement
        where kind = 'return' and sku = 'tea' order by movement_id`,
    );
    assert.deepEqual(
      rows.map(({ line }) => line),
      [`l1 2 0 ${command.returnId}`, `l9 1 0 ${command.returnId}`],
    );
    const log = (await readAuditLog(test.database)).filter(({ action }) => action === "stock.returned");
    assert.deepEqual(
      log.map(({ details }) => details),
      [{ "tea@l1": "2", "tea@l9": "1", return: command.returnId }],
    );
    await requireExplained(test.database);
  });

  it("comes back once, whatever the request is called and whoever is asked", async () => {
    const orderId = await sold("cup", 4);
    const command = back(orderId, "cup:l1:2");
    const others = await Promise.all([1, 2].map((each) => openReplica(test, `restock-${each}`)));
    const shops = [shop, ...others.map((database) => new Shop(database))];
    await Promise.all(Array.from({ length: 12 }, (_, index) => shops[index % 3]?.do(command, `request-${index}`)));
    await shop.do(command, "request-1");
    assert.equal(await levelsOf("cup"), "cup@l1 2/0");
    await Promise.all(others.map((database) => database.close()));
    await requireExplained(test.database);
  });

  it("is never more than has left, over all returns of an order", async () => {
    const orderId = await sold("pot", 3);
    await shop.do(back(orderId, "pot:l1:2"));
    await assert.rejects(shop.do(back(orderId, "pot:l1:2")), {
      reasonName: "RETURNED_TOO_MUCH",
      metadata: { order_id: orderId, sku: "pot", left: "3", returned: "4" },
    });
    await assert.rejects(shop.do(back(orderId, "lid:l1:1")), { reasonName: "RETURNED_TOO_MUCH" });
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => shop.do(back(orderId, "pot:l2:1"))));
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal(await levelsOf("pot"), "pot@l1 2/0, pot@l2 1/0");
  });

  it("is refused of an order that has taken nothing", async () => {
    await assert.rejects(shop.do(back(newId(), "tea:l1:1")), { reasonName: "RESERVATION_NOT_FOUND" });
    await shop.deliver("hat", "l1:2");
    const orderId = newId();
    await shop.reserve("hat:2", orderId);
    await assert.rejects(shop.do(back(orderId, "hat:l1:1")), { reasonName: "RETURNED_TOO_MUCH" });
  });

  it("of many orders is one call, each with its own outcome", async () => {
    const client = connect(inventoryOn(test.database));
    const orderId = await sold("jar", 1);
    const parts = [{ sku: "jar", locationId: "l1", quantity: 1n }];
    const { outcomes } = await client.batchRestock({
      requests: [
        { requestId: "b-1", orderId, returnId: newId(), parts },
        { requestId: "b-2", orderId: newId(), returnId: newId(), parts },
      ],
    });
    assert.deepEqual(
      outcomes.map(({ outcome }) => (outcome.case === "failure" ? outcome.value.reason : outcome.case)),
      ["response", "RESERVATION_NOT_FOUND"],
    );
    assert.equal(await levelsOf("jar"), "jar@l1 1/0");
    const { movements } = await client.listStockMovements({ orderId });
    assert.equal(movements[0]?.onHandDelta, 1n);
  });
});
