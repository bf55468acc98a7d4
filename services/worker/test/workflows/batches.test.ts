import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { parkedSteps } from "../../src/workflows/legacy/messages.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { anOrder } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import { on, type Rule } from "../world/rules.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage?.close());

function idOf(orders: SagaOrder[], index: number): string {
  return orders[index]?.orderId ?? "";
}

/** Every seventh order is out of stock, every eleventh declined, every thirteenth cannot be packed. */
function mixed(orders: SagaOrder[]): { rules: Rule[]; expected: string[] } {
  const rules: Rule[] = [];
  const expected = orders.map(({ orderId }, index) => {
    if (index % 7 === 6) {
      rules.push(on("reserve", { kind: "refuse", reason: "OUT_OF_STOCK" }, { orderId }));
      return "REJECTED";
    }
    if (index % 11 === 10) {
      rules.push(on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId }));
      return "REJECTED";
    }
    if (index % 13 === 12) {
      rules.push(on("prepare", { kind: "refuse", reason: "PACKING_FAILED" }, { orderId }));
      return "FAILED";
    }
    return "DELIVERED";
  });
  return { rules, expected };
}

describe("a batch", () => {
  for (const size of [1, 2, 64]) {
    test(`of ${size} gives every order its own end, and asks each service once for all`, async () => {
      const orders = Array.from({ length: size }, () => anOrder());
      const { rules, expected } = mixed(orders);
      const before = stage.world.batches.length;
      assert.deepEqual(await stage.run(orders, rules), expected);
      const reserves = stage.world.batches.slice(before).filter(({ step }) => step === "reserve");
      assert.deepEqual(reserves, [{ step: "reserve", size }]);
      const captures = stage.world.batches.slice(before).filter(({ step }) => step === "capture");
      assert.deepEqual(captures, [{ step: "capture", size: expected.filter((end) => end === "DELIVERED").length }]);
    });
  }

  test("that one order poisons is halved until it stands alone; the others go on", async () => {
    const orders = Array.from({ length: 64 }, () => anOrder());
    const poisonous = idOf(orders, 37);
    const handle = await stage.start(orders, [on("authorize", { kind: "invalid" }, { orderId: poisonous })]);
    await stage.parked(handle, "authorize");
    assert.deepEqual(
      (await handle.query(parkedSteps)).map(({ orderId }) => orderId),
      [poisonous],
    );
    for (const order of orders.filter(({ orderId }) => orderId !== poisonous)) {
      await stage.until(handle, order.orderId, ["delivered", "DONE"]);
    }
    assert.deepEqual(stage.world.trace(poisonous), ["reserve"]);
    await handle.terminate();
  });

  test("goes on without the order that is slow", async () => {
    const orders = Array.from({ length: 8 }, () => anOrder());
    const slow = idOf(orders, 3);
    const rule = on("authorize", { kind: "pending" }, { orderId: slow });
    const handle = await stage.start(orders, [rule]);
    for (const order of orders.filter(({ orderId }) => orderId !== slow)) {
      await stage.until(handle, order.orderId, ["delivered", "DONE"]);
    }
    stage.world.rules.splice(stage.world.rules.indexOf(rule), 1);
    const { orders: ended } = await handle.result();
    assert.ok(ended.every((order) => order.stage === "DELIVERED"));
  });
});

describe("an order from several locations", () => {
  const split = (orderId: string) => {
    const known = stage.world.allocate;
    stage.world.allocate = (id, lines) => {
      if (id !== orderId) return known(id, lines);
      return [
        { sku: "tea", quantity: 1, locationId: "BER" },
        { sku: "tea", quantity: 1, locationId: "HAM" },
        { sku: "cup", quantity: 1, locationId: "HAM" },
      ];
    };
  };

  test("is captured parcel by parcel", async () => {
    const order = anOrder();
    split(order.orderId);
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    const trace = stage.world.trace(order.orderId);
    for (const effect of ["ship:BER", "ship:HAM", "capture:BER", "capture:HAM", "commit:BER", "commit:HAM"]) {
      assert.ok(trace.includes(effect), effect);
    }
    assert.equal(stage.world.order(order.orderId).captured, 2_500n);
  });

  test("goes without the parcel that cannot ship", async () => {
    const order = anOrder();
    const { orderId } = order;
    split(orderId);
    const rule = on("ship:HAM", { kind: "refuse", reason: "CARRIER_REFUSED" }, { orderId });
    assert.deepEqual(await stage.run([order], [rule]), ["DELIVERED"]);
    const { captured, voided, stock } = stage.world.order(orderId);
    assert.deepEqual({ captured, voided }, { captured: 1_000n, voided: 1_500n });
    assert.deepEqual(Object.fromEntries(stock), { BER: "committed", HAM: "released" });
    const trace = stage.world.trace(orderId);
    assert.deepEqual(
      trace.filter((effect) => effect.endsWith(":HAM")),
      ["prepare:HAM", "cancel:HAM", "void:HAM", "release:HAM"],
    );
  });

  test("gets back the money for the parcel that is lost", async () => {
    const order = anOrder();
    const { orderId } = order;
    split(orderId);
    stage.world.loses = (id, locationId) => id === orderId && locationId === "HAM";
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    const { captured, refunded } = stage.world.order(orderId);
    assert.deepEqual({ captured, refunded }, { captured: 2_500n, refunded: 1_500n });
  });

  test("fails when all parcels are lost", async () => {
    const order = anOrder();
    const { orderId } = order;
    split(orderId);
    stage.world.loses = (id) => id === orderId;
    assert.deepEqual(await stage.run([order]), ["FAILED"]);
    assert.equal(stage.world.order(orderId).refunded, 2_500n);
    assert.equal(stage.world.order(orderId).failure, "LOST_IN_TRANSIT");
  });
});
