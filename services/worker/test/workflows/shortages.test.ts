// Orders of which only a part is there: what is missing is taken out before the money is authorized, and what is set aside, charged and packed is
// what the order says, whatever dies in between.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { anOrder } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import { on } from "../world/rules.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open({ awayFirstMs: 50, awayMaxMs: 50 });
});
after(() => stage?.close());
afterEach(() => {
  stage.world.onCall = () => {};
});

/** An order that gets what is there: one of two of the tea, and no cup. */
function short(missing: Record<string, number> = { tea: 1, cup: 1 }): SagaOrder {
  const order = anOrder();
  const lines = Object.entries(missing).map(([sku, quantity]) => ({ sku, quantity }));
  stage.world.missing.set(order.orderId, lines);
  return order;
}

const traceOf = ({ orderId }: SagaOrder) => stage.world.trace(orderId);

/** What is set aside, charged and packed is what the order says, and the order is without what is missing. */
function agrees({ orderId }: SagaOrder, total: bigint): void {
  const { order } = stage.rows.row(orderId);
  const { parts, authorized, captured, voided, confirmedAs } = stage.world.order(orderId);
  assert.equal(BigInt(order.total.amount), total);
  assert.equal(authorized, total);
  assert.equal(captured + voided, total);
  const parcels = Object.values(confirmedAs).reduce((sum, amount) => sum + amount, 0n);
  assert.equal(parcels, total);
  const has = (lines: readonly { sku: string; quantity: number }[]) =>
    lines.map(({ sku, quantity }) => `${sku}:${quantity}`).toSorted();
  assert.deepEqual(has(parts), has(order.lines));
  assert.deepEqual(stage.doubles(orderId), []);
  assert.deepEqual(stage.world.reworded, []);
}

describe("an order of which something is missing", () => {
  test("ships what is there, and pays only that", async () => {
    const order = short();
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    assert.deepEqual(traceOf(order).slice(0, 5), ["reserve", "cut", "authorize", "confirm", "CONFIRMED"]);
    agrees(order, 1_000n);
  });

  test("is not amended to what costs more than what was there when no card was named: it ships as it is", async () => {
    const order = short({ cup: 1 });
    const { orderId } = order;
    stage.place([order]);
    stage.rows.amend(orderId, { lines: [{ sku: "tea", quantity: 2, unitPrice: 1_250 }], total: order.total });
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assert.equal(stage.rows.amended(orderId), "CARD_NEEDED");
    agrees(order, 2_000n);
  });

  test("gives back its money when inventory knows other words for it: that is no proof that nothing was authorized", async () => {
    const order = anOrder();
    const { orderId } = order;
    stage.place(
      [order],
      [
        on("confirm", { kind: "unavailable" }, { orderId, times: 6 }),
        ({ step, repetition, ...call }) =>
          step === "reserve" && repetition > 0 && call.orderId === orderId
            ? { kind: "refuse", reason: "REQUEST_ID_REUSED" }
            : undefined,
      ],
    );
    assert.deepEqual(await stage.ends([order]), ["REJECTED"]);
    const { released, authorized, voided } = stage.world.order(orderId);
    assert.deepEqual([released, authorized - voided], [true, 0n]);
    assert.ok(authorized > 0n);
  });

  test("is rejected when nothing of it is there", async () => {
    const order = short({ tea: 2, cup: 1 });
    assert.deepEqual(await stage.run([order]), ["REJECTED"]);
    assert.equal(stage.world.order(order.orderId).failure, "OUT_OF_STOCK");
    assert.deepEqual(traceOf(order), ["release", "REJECTED"]);
  });

  test("is one of a batch: the others have all that they want", async () => {
    const [order, other, third] = [short(), anOrder(), short({ cup: 1 })];
    assert.deepEqual(await stage.run([order, other, third]), ["DELIVERED", "DELIVERED", "DELIVERED"]);
    agrees(order, 1_000n);
    agrees(other, 2_500n);
    agrees(third, 2_000n);
    assert.ok(!traceOf(other).includes("cut"));
  });

  test("is rejected when its card is declined, and gives back what was there", async () => {
    const order = short();
    const { orderId } = order;
    stage.world.rules.push(on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId }));
    assert.deepEqual(await stage.run([order]), ["REJECTED"]);
    assert.ok(stage.world.order(orderId).released);
  });

  test("is rejected, released and not charged when orders does not take out what is missing", async () => {
    const order = short();
    const { orderId } = order;
    stage.world.rules.push(on("cut", { kind: "refuse", reason: "SHORTAGE_DECIDED" }, { orderId }));
    assert.deepEqual(await stage.run([order]), ["REJECTED"]);
    const { released, authorized, paymentVoided } = stage.world.order(orderId);
    assert.deepEqual([released, authorized, paymentVoided], [true, 0n, true]);
  });

  test("waits while orders is away, and is cut once", async () => {
    const order = short();
    const { orderId } = order;
    stage.world.rules.push(on("cut", { kind: "unavailable" }, { orderId, times: 12 }));
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    agrees(order, 1_000n);
  });

  test("is cut once although the answer is lost", async () => {
    const order = short();
    const { orderId } = order;
    stage.world.rules.push(on("cut", { kind: "lost" }, { orderId, times: 8 }));
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    agrees(order, 1_000n);
  });

  test("is given back whole when it is cancelled while its money is not decided", async () => {
    const order = short();
    const { orderId } = order;
    stage.world.rules.push(on("authorize", { kind: "pending" }, { orderId }));
    stage.place([order]);
    await stage.rests(orderId, () => stage.rows.row(orderId).waitsFor === "gateway");
    assert.equal(await stage.cancel(orderId), "accepted");
    assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
    const { released, paymentVoided } = stage.world.order(orderId);
    assert.deepEqual([released, paymentVoided], [true, true]);
    assert.deepEqual(stage.doubles(orderId), []);
  });
});

describe("an order of which what is missing follows", () => {
  /** One of two of the tea is there, and the rest becomes an order of its own. */
  function followed(missing?: Record<string, number>): SagaOrder {
    const order = short(missing);
    stage.world.rests.set(order.orderId, 0);
    return order;
  }

  test("ships what is there, and has the rest made as it is confirmed", async () => {
    const order = followed();
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    agrees(order, 1_000n);
    assert.equal(stage.world.rests.get(order.orderId), 1);
  });

  test("has no rest made when all is there, or the card is declined", async () => {
    const whole = followed({});
    const declined = followed();
    const { orderId } = declined;
    stage.world.rules.push(on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId }));
    assert.deepEqual(await stage.run([whole, declined]), ["DELIVERED", "REJECTED"]);
    assert.deepEqual([stage.world.rests.get(whole.orderId), stage.world.rests.get(orderId)], [0, 0]);
  });

  test("rests as a whole when nothing is there, and goes on with all of it when its turn has come", async () => {
    const order = followed({});
    const { orderId } = order;
    stage.world.short.add(orderId);
    stage.place([order]);
    await stage.rests(orderId, () => stage.rows.row(orderId).awaitsStock);
    assert.deepEqual(traceOf(order), []);
    stage.rows.served(orderId);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    agrees(order, 2_500n);
    assert.deepEqual([stage.rows.row(orderId).awaitsStock, stage.world.rests.get(orderId)], [false, 0]);
  });

  for (const step of ["cut", "authorize", "confirm", "transition", "settle"] as const) {
    for (const when of ["before", "after"] as const) {
      test(`has one rest also when its workflow is gone ${when} it asked for ${step}`, async () => {
        const order = followed();
        const { orderId } = order;
        let terminated = 0;
        stage.world.onCall = async (called, at) => {
          if (called !== step || at !== when || terminated > 0) return;
          terminated += 1;
          await stage.workflow(stage.rows.row(orderId).episodeId).terminate();
        };
        assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
        assert.equal(terminated, 1);
        agrees(order, 1_000n);
        assert.equal(stage.world.rests.get(orderId), 1);
      });
    }
  }
});

describe("a workflow that is gone", () => {
  for (const step of ["reserve", "cut", "authorize", "confirm", "settle"] as const) {
    for (const when of ["before", "after"] as const) {
      test(`${when} it asked for ${step} is followed by another one: stock, money and order say the same`, async () => {
        const order = short();
        const { orderId } = order;
        let terminated = 0;
        stage.world.onCall = async (called, at) => {
          if (called !== step || at !== when || terminated > 0) return;
          terminated += 1;
          await stage.workflow(stage.rows.row(orderId).episodeId).terminate();
        };
        assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
        assert.equal(terminated, 1);
        agrees(order, 1_000n);
      });
    }
  }

  for (const step of ["cut", "authorize"] as const) {
    test(`after it asked for ${step} is followed by one that undoes all of it, when orders takes nothing out any more`, async () => {
      const order = short();
      const { orderId } = order;
      let terminated = 0;
      stage.world.onCall = async (called, at) => {
        if (called !== step || at !== "after" || terminated > 0) return;
        terminated += 1;
        await stage.workflow(stage.rows.row(orderId).episodeId).terminate();
        stage.world.rules.push(on("cut", { kind: "refuse", reason: "SHORTAGE_DECIDED" }, { orderId }));
      };
      // What it began in its first task goes on, and may have confirmed the order: then there is nothing to be taken out any more.
      const [end = ""] = await stage.run([order]);
      if (end === "DELIVERED") return agrees(order, 1_000n);
      assert.ok(["REJECTED", "FAILED"].includes(end), end);
      const { authorized, voided, released } = stage.world.order(orderId);
      assert.equal(voided, authorized);
      assert.ok(released);
      assert.deepEqual(stage.doubles(orderId), []);
    });
  }
});
