// Orders that are screened before anything is set aside for them.
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

/** An order that is screened, and what is found about it. */
function screened(found: "pass" | "review" | "refuse"): SagaOrder {
  const order = anOrder();
  stage.world.screens.set(order.orderId, found);
  return order;
}

/** Places an order and waits until it rests under review. */
async function held(): Promise<SagaOrder> {
  const order = screened("review");
  stage.place([order]);
  await stage.rests(order.orderId, () => stage.rows.row(order.orderId).settlements.length > 0);
  return order;
}

const traceOf = ({ orderId }: SagaOrder) => stage.world.trace(orderId);
const screenings = () => stage.world.batches.filter(({ step }) => step === "screen");

describe("screening", () => {
  test("is one call for all orders of an episode, and none for those that are not screened", async () => {
    const before = screenings().length;
    const orders = [screened("pass"), screened("pass"), screened("pass"), anOrder()];
    assert.deepEqual(await stage.run(orders), Array(4).fill("DELIVERED"));
    assert.deepEqual(
      screenings()
        .slice(before)
        .map(({ size }) => size),
      [3],
    );
  });

  test("refuses an order before stock or money, and undoes what a run that was lost may have done", async () => {
    const order = screened("refuse");
    assert.deepEqual(await stage.run([order]), ["REJECTED"]);
    assert.deepEqual(traceOf(order), ["void", "release", "REJECTED"]);
    assert.equal(stage.world.order(order.orderId).failure, "ORDER_NOT_ACCEPTED");
    assert.deepEqual(
      stage.rows.row(order.orderId).settlements.at(-1)?.failure?.customerMessage.includes("fraud"),
      false,
    );
  });

  test("is repeated while orders is away, and holds nothing meanwhile", async () => {
    const order = screened("pass");
    const rules = [on("screen", { kind: "unavailable" }, { orderId: order.orderId, times: 4 })];
    assert.deepEqual(await stage.run([order], rules), ["DELIVERED"]);
    assert.deepEqual(traceOf(order).slice(0, 4), delivered);
    assert.deepEqual(stage.doubles(order.orderId), []);
  });

  test("is not waited for longer than a checkout may take", async () => {
    const order = screened("pass");
    const rules = [on("screen", { kind: "unavailable" }, { orderId: order.orderId })];
    assert.deepEqual(await stage.run([order], rules, Date.now() - 899_000), ["REJECTED"]);
    assert.equal(stage.world.order(order.orderId).failure, "SERVICE_UNAVAILABLE");
  });
});

describe("an order under review", () => {
  test("rests with its card, without stock, money or a time to wake up at, and can be cancelled", async () => {
    const order = await held();
    const { settlements, dueTime, cancellable, needsCard, waitsFor, parked } = stage.rows.row(order.orderId);
    assert.equal(settlements.length, 1);
    assert.deepEqual(
      { dueTime, cancellable, needsCard, waitsFor, parked },
      { dueTime: undefined, cancellable: true, needsCard: true, waitsFor: "", parked: undefined },
    );
    assert.deepEqual(traceOf(order), []);
    const { steps } = stage.rows.state(order.orderId);
    assert.deepEqual(
      steps.map(({ name, status }) => [name, status]),
      [["screen", "DONE"]],
    );
  });

  test("goes on when it is released, each step once, however long it was held up", async () => {
    const order = await held();
    stage.rows.row(order.orderId).createTime = Date.now() - 3 * 24 * 3_600_000;
    stage.rows.review(order.orderId, "released");
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assert.deepEqual(traceOf(order).slice(0, 4), delivered);
    assert.deepEqual(stage.doubles(order.orderId), []);
  });

  test("is rejected like any other when its stock is gone by then", async () => {
    const order = await held();
    stage.world.rules.push(on("reserve", { kind: "refuse", reason: "OUT_OF_STOCK" }, { orderId: order.orderId }));
    stage.rows.review(order.orderId, "released");
    assert.deepEqual(await stage.ends([order]), ["REJECTED"]);
    assert.equal(stage.world.order(order.orderId).failure, "OUT_OF_STOCK");
  });

  test("is rejected when it is refused", async () => {
    const order = await held();
    stage.rows.review(order.orderId, "refused");
    assert.deepEqual(await stage.ends([order]), ["REJECTED"]);
    assert.equal(stage.world.order(order.orderId).failure, "ORDER_NOT_ACCEPTED");
  });

  test("is cancelled, and stays so although somebody releases it at the same moment", async () => {
    const order = await held();
    assert.equal(await stage.cancel(order.orderId), "accepted");
    stage.rows.review(order.orderId, "released");
    assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
    assert.ok(!traceOf(order).includes("authorize"), traceOf(order).join());
  });

  test("stays so whatever else happens to it", async () => {
    const order = await held();
    const { orderId } = order;
    stage.rows.happens(orderId, anEvent("retry"));
    await stage.rests(orderId, () => stage.rows.row(orderId).settlements.length > 1);
    stage.rows.happens(orderId, anEvent("shipment", { locationId: "BER", news: "PACKED", trackingNumber: "" }));
    await stage.rests(orderId, () => stage.rows.row(orderId).settlements.length > 2);
    assert.deepEqual(traceOf(order), []);
  });

  for (const when of ["before", "after"] as const) {
    test(`is found again by the workflow that follows one that was terminated ${when} it asked`, async () => {
      const order = screened("review");
      const { orderId } = order;
      let terminated = 0;
      stage.world.onCall = async (called, at) => {
        if (called !== "screen" || at !== when || terminated > 0) return;
        terminated += 1;
        await stage.workflow(stage.rows.row(orderId).episodeId).terminate();
      };
      stage.place([order]);
      await stage.rests(orderId, () => stage.rows.row(orderId).settlements.length > 0);
      stage.world.onCall = () => {};
      assert.equal(terminated, 1);
      stage.rows.review(orderId, "released");
      assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
      assert.deepEqual(stage.doubles(orderId), []);
    });
  }

  test("whose order a run that was lost had paid gives everything back when it is refused", async () => {
    const order = screened("pass");
    const { orderId } = order;
    let terminated = 0;
    stage.world.onCall = async (called, at) => {
      if (called !== "authorize" || at !== "after" || terminated > 0) return;
      terminated += 1;
      stage.world.screens.set(orderId, "refuse");
      await stage.workflow(stage.rows.row(orderId).episodeId).terminate();
    };
    // What goes on until it hears of its end must not confirm the order.
    const rules = [on("confirm", { kind: "unavailable" }, { orderId })];
    assert.deepEqual(await stage.run([order], rules), ["REJECTED"]);
    stage.world.onCall = () => {};
    const { authorized, voided } = stage.world.order(orderId);
    assert.ok(authorized > 0n);
    assert.equal(voided, authorized);
    assert.deepEqual(stage.doubles(orderId), []);
  });
});
