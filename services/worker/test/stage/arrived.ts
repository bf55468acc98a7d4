import assert from "node:assert/strict";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { anOrder } from "./harness.ts";
import type { Stage } from "./stage.ts";

/** An order of 25.00 that has arrived. */
export async function delivered(stage: Stage): Promise<SagaOrder> {
  const order = anOrder();
  assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
  return order;
}

/** One of 25.00 that an amendment made one of 45.00, and that has arrived: it has two payments. */
export async function amended(stage: Stage): Promise<SagaOrder> {
  const order = anOrder();
  const { orderId } = order;
  stage.world.packs = (id) => (id === orderId ? undefined : "PACKED");
  stage.place([order]);
  await stage.rests(orderId, () => stage.world.order(orderId).status === "PREPARING");
  const lines = [
    { sku: "tea", quantity: 4, unitPrice: 1_000 },
    { sku: "cup", quantity: 1, unitPrice: 500 },
  ];
  stage.rows.amend(orderId, { lines, total: { currency: "EUR", amount: 4_500 }, cardToken: "tok_approve" });
  await stage.rests(orderId, () => stage.rows.row(orderId).amendments.every(({ isOver }) => isOver));
  stage.world.tell(orderId, "BER", { news: "PACKED", generation: 1 });
  assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
  stage.world.packs = () => "PACKED";
  return order;
}
