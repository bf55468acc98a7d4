import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import type { InventoryParts } from "../../../inventory/src/inventory.ts";
import { connect, inventoryDatabase, inventoryOn, levels, pass, Shop } from "../../../inventory/test/harness.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { anOrder } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import { on } from "../world/rules.ts";

let inventory: TestDatabase;
let stock: InventoryParts["stock"];
let stage: Stage;
before(async () => {
  inventory = await inventoryDatabase();
  const parts = inventoryOn(inventory.database);
  stock = parts.stock;
  stage = await Stage.open({}, {}, { real: { inventory: connect(parts) } });
});
after(async () => {
  await stage?.close();
  await inventory?.[Symbol.asyncDispose]();
});

const pieceOf = (sku: string) => anOrder({ orderId: newId(), lines: [{ sku, quantity: 1, unitPrice: 2_500 }] });

async function endHolds(): Promise<void> {
  await pass(inventory.database, 3_600_000);
  await stock.expire();
}

/** Places an order whose card is not decided about until the function that is returned is called. */
async function placeSlow(order: SagaOrder): Promise<() => void> {
  const { orderId } = order;
  let undecided = true;
  const pending = on("authorize", { kind: "pending" }, { orderId });
  stage.place([order], [(call) => (undecided ? pending(call) : undefined)]);
  await stage.rests(orderId, () => stage.rows.row(orderId).waitsFor === "gateway");
  return () => {
    undecided = false;
  };
}

/** From where parcels of an order left, and what each brought. */
const left = (orderId: string) => stage.world.trace(orderId).filter((effect) => /^(?:ship|capture):/.test(effect));

test("no piece leaves twice and none stays reserved when a payment outlasts its hold", async () => {
  await new Shop(inventory.database).deliver("lamp", "A:1", "B:1");
  const [slow, quick] = [pieceOf("lamp"), pieceOf("lamp")];
  const decide = await placeSlow(slow);
  assert.equal(await levels(inventory.database), "lamp@A 1/1, lamp@B 1/0");
  await endHolds();

  assert.deepEqual(await stage.run([quick]), ["DELIVERED"]);
  assert.deepEqual(left(quick.orderId), ["ship:A", "capture:A"]);
  decide();
  assert.deepEqual(await stage.ends([slow]), ["DELIVERED"]);
  assert.deepEqual(left(slow.orderId), ["ship:B", "capture:B"]);
  assert.deepEqual(stage.world.order(slow.orderId).confirmedAs, { B: 2_500n });
  assert.equal(await levels(inventory.database), "lamp@A 0/0, lamp@B 0/0");
  assert.ok([slow, quick].every(({ orderId }) => stage.rows.row(orderId).settlements.every(({ parked }) => !parked)));
});

test("an order whose stock has gone is refused, and its money is given back", async () => {
  await new Shop(inventory.database).deliver("vase", "A:1");
  const [slow, quick] = [pieceOf("vase"), pieceOf("vase")];
  const decide = await placeSlow(slow);
  await endHolds();
  assert.deepEqual(await stage.run([quick]), ["DELIVERED"]);
  decide();
  assert.deepEqual(await stage.ends([slow]), ["REJECTED"]);
  assert.equal(stage.world.order(slow.orderId).failure, "HOLD_EXPIRED");
  assert.ok(stage.world.trace(slow.orderId).includes("void"));
});
