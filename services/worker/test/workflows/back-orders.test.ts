// Orders that wait for stock: they rest in their rows, and go on when inventory has told that it is their turn.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { anOrder } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import { anEvent } from "../world/order-rows.ts";
import { on } from "../world/rules.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open({ awayFirstMs: 50, awayMaxMs: 50 });
});
after(() => stage?.close());

const delivered = ["reserve", "authorize", "confirm", "CONFIRMED"];
const days = 24 * 3_600_000;

/** An order that would wait, and for which there is too little. */
function wanting(): SagaOrder {
  const order = anOrder();
  stage.world.backOrders.add(order.orderId);
  stage.world.short.add(order.orderId);
  return order;
}

/** Places an order and waits until it rests without stock. */
async function waiting(): Promise<SagaOrder> {
  const order = wanting();
  stage.place([order]);
  await stage.rests(order.orderId, () => stage.rows.row(order.orderId).awaitsStock);
  return order;
}

const traceOf = ({ orderId }: SagaOrder) => stage.world.trace(orderId);
const rowOf = ({ orderId }: SagaOrder) => stage.rows.row(orderId);

describe("an order that waits for stock", () => {
  test("rests with its card, without money or a time to wake up at, and can be cancelled", async () => {
    const order = await waiting();
    const { settlements, dueTime, cancellable, needsCard, waitsFor, parked } = rowOf(order);
    assert.equal(settlements.length, 1);
    assert.deepEqual(
      { dueTime, cancellable, needsCard, waitsFor, parked },
      { dueTime: undefined, cancellable: true, needsCard: true, waitsFor: "", parked: undefined },
    );
    assert.deepEqual(traceOf(order), []);
    const { steps, stage: at } = stage.rows.state(order.orderId);
    assert.equal(at, "CHECKOUT");
    assert.deepEqual(
      steps.map(({ name, status }) => [name, status]),
      [["reserve", "RUNNING"]],
    );
  });

  test("goes on when its turn has come, each step once, however long it has waited", async () => {
    const order = await waiting();
    rowOf(order).createTime = Date.now() - 40 * days;
    stage.rows.served(order.orderId);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assert.deepEqual(traceOf(order).slice(0, 4), delivered);
    assert.deepEqual(stage.doubles(order.orderId), []);
    assert.equal(rowOf(order).awaitsStock, false);
  });

  test("goes on also when orders has not noted the time of its turn", async () => {
    const order = await waiting();
    stage.rows.served(order.orderId);
    rowOf(order).createTime = Date.now() - 40 * days;
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
  });

  test("waits on whatever else happens to it, however late", async () => {
    const order = await waiting();
    const { orderId } = order;
    rowOf(order).createTime = Date.now() - 40 * days;
    stage.rows.happens(orderId, anEvent("retry"));
    await stage.rests(orderId, () => rowOf(order).settlements.length > 1);
    stage.rows.happens(orderId, anEvent("shipment", { locationId: "BER", news: "PACKED", trackingNumber: "" }));
    await stage.rests(orderId, () => rowOf(order).settlements.length > 2);
    assert.deepEqual(traceOf(order), []);
    assert.equal(rowOf(order).awaitsStock, true);
  });

  test("waits on while inventory is away, with a pause, however late", async () => {
    const order = await waiting();
    const { orderId } = order;
    rowOf(order).createTime = Date.now() - 40 * days;
    stage.world.rules.push(on("reserve", { kind: "unavailable" }, { orderId, times: 14 }));
    stage.rows.happens(orderId, anEvent("retry"));
    await stage.rests(orderId, () => rowOf(order).settlements.length > 2 && rowOf(order).waitsFor === "");
    assert.ok(rowOf(order).settlements.every(({ awaitsStock }) => awaitsStock));
    assert.ok(rowOf(order).settlements.length < 14, `it was carried ${rowOf(order).settlements.length} times`);
  });

  test("is rejected when it has waited for as long as it may, and leaves the queue", async () => {
    const order = await waiting();
    stage.rows.waitedTooLong(order.orderId);
    assert.deepEqual(await stage.ends([order]), ["REJECTED"]);
    assert.equal(stage.world.order(order.orderId).failure, "OUT_OF_STOCK");
    assert.deepEqual(traceOf(order), ["release", "REJECTED"]);
  });

  test("is rejected when its card is declined by then, and gives the stock to others", async () => {
    const order = await waiting();
    const { orderId } = order;
    stage.world.rules.push(on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId }));
    stage.rows.served(orderId);
    assert.deepEqual(await stage.ends([order]), ["REJECTED"]);
    assert.equal(stage.world.order(orderId).failure, "PAYMENT_DECLINED");
    assert.ok(stage.world.order(orderId).released);
  });

  test("has the time of any other checkout once it has stock", async () => {
    const order = await waiting();
    const { orderId } = order;
    stage.world.rules.push(on("authorize", { kind: "unavailable" }, { orderId }));
    stage.rows.served(orderId);
    rowOf(order).createTime = Date.now() - 899_000;
    assert.deepEqual(await stage.ends([order]), ["REJECTED"]);
    assert.equal(stage.world.order(orderId).failure, "SERVICE_UNAVAILABLE");
    assert.ok(stage.world.order(orderId).released);
  });

  test("is refused at once when it would not wait", async () => {
    const order = anOrder();
    stage.world.short.add(order.orderId);
    assert.deepEqual(await stage.run([order]), ["REJECTED"]);
    assert.equal(stage.world.order(order.orderId).failure, "OUT_OF_STOCK");
  });

  test("is one of a batch: the others go on", async () => {
    const order = wanting();
    const others = [anOrder(), anOrder()];
    stage.place([order]);
    assert.deepEqual(await stage.run(others), ["DELIVERED", "DELIVERED"]);
    await stage.rests(order.orderId, () => rowOf(order).awaitsStock);
    stage.rows.served(order.orderId);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
  });
});

describe("cancelling an order that waits for stock", () => {
  test("releases it, and nothing was charged", async () => {
    const order = await waiting();
    assert.equal(await stage.cancel(order.orderId), "accepted");
    assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
    assert.ok(stage.world.order(order.orderId).released);
    assert.equal(stage.world.order(order.orderId).authorized, 0n);
  });

  for (const first of ["cancelled", "served"] as const) {
    test(`holds when it is ${first} first and the other comes at the same moment`, async () => {
      const order = await waiting();
      const { orderId } = order;
      if (first === "served") stage.rows.served(orderId);
      const answer = await stage.cancel(orderId);
      if (first === "cancelled") stage.rows.served(orderId);
      assert.equal(answer, "accepted");
      assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
      const { authorized, voided, released } = stage.world.order(orderId);
      assert.equal(voided, authorized);
      assert.ok(released);
      assert.deepEqual(stage.doubles(orderId), []);
    });
  }

  for (const when of ["before", "after"] as const) {
    test(`holds when it is accepted ${when} inventory has answered in the episode that its turn began`, async () => {
      const order = await waiting();
      const { orderId } = order;
      let asked: Promise<string> | undefined;
      stage.world.onCall = (step, at) => {
        if (step === "reserve" && at === when) asked ??= stage.cancel(orderId);
      };
      stage.rows.served(orderId);
      const [end] = await stage.ends([order]);
      stage.world.onCall = () => {};
      // What is done in the first task of a workflow hears of it afterwards: then a parcel may have left.
      assert.equal(end, (await asked) === "accepted" ? "CANCELLED" : "DELIVERED");
      const { authorized, voided, released } = stage.world.order(orderId);
      assert.equal(released, end === "CANCELLED");
      assert.equal(voided, end === "CANCELLED" ? authorized : 0n);
    });
  }
});

describe("a workflow that is gone", () => {
  for (const step of ["reserve", "authorize", "confirm", "settle"] as const) {
    for (const when of ["before", "after"] as const) {
      test(`${when} it asked for ${step} is followed by another one, and each step has one effect`, async () => {
        const order = step === "reserve" || step === "settle" ? wanting() : await waiting();
        const { orderId } = order;
        let terminated = 0;
        stage.world.onCall = async (called, at) => {
          if (called !== step || at !== when || terminated > 0) return;
          terminated += 1;
          await stage.workflow(rowOf(order).episodeId).terminate();
        };
        if (step === "reserve" || step === "settle") {
          stage.place([order]);
          await stage.rests(orderId, () => terminated > 0 && rowOf(order).awaitsStock);
        }
        stage.rows.served(orderId);
        assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
        stage.world.onCall = () => {};
        assert.equal(terminated, 1);
        assert.deepEqual(stage.doubles(orderId), []);
      });
    }
  }
});
