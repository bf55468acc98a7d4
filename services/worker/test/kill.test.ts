import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { keepSpans } from "#testing/kept-spans.ts";
import { cancelOrderSignal } from "../src/workflows/legacy/messages.ts";
import { anOrder, startSaga } from "./stage/harness.ts";
import { impatient, Killable } from "./stage/killable.ts";
import { dispatched, orderOf, traceOf } from "./stage/traces.ts";
import { on, type Rule } from "./world/rules.ts";

let killable: Killable;
before(async () => {
  killable = await Killable.open();
});
after(() => killable?.close());

const forward = ["transition", "prepare", "ship", "capture", "commit", "transition", "look", "transition"];
const declined = (orderId: string) => on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId });
const packing = (orderId: string) => on("prepare", { kind: "refuse", reason: "PACKING_FAILED" }, { orderId });

const cases: { name: string; kills: string[]; rules?: (orderId: string) => Rule[]; stage: string; effects: number }[] =
  [
    { name: "reserve", kills: ["reserve"], stage: "DELIVERED", effects: 11 },
    { name: "authorize", kills: ["authorize"], stage: "DELIVERED", effects: 11 },
    { name: "confirm", kills: ["confirm"], stage: "DELIVERED", effects: 11 },
    { name: "every step from the confirmed order on", kills: forward, stage: "DELIVERED", effects: 11 },
    {
      name: "every compensation",
      kills: ["void", "release", "transition"],
      stage: "REJECTED",
      effects: 4,
      rules: (orderId) => [declined(orderId)],
    },
    {
      name: "every step that drops a parcel",
      kills: ["cancel", "void", "release"],
      stage: "FAILED",
      effects: 9,
      rules: (orderId) => [packing(orderId)],
    },
  ];

describe("a worker that is killed and started again, after", () => {
  for (const { name, kills, rules, stage, effects } of cases) {
    test(`${name}: nothing has an effect twice`, async () => {
      const orders = [anOrder(), anOrder()];
      const { world, environment } = killable;
      for (const { orderId } of orders) world.rules.push(...(rules?.(orderId) ?? []));
      await killable.start();
      const plan = killable.killAfter(kills);
      const handle = await startSaga(environment, orders, impatient, "2s");
      const result = await handle.result();
      assert.deepEqual(plan.killed, kills);
      for (const order of result.orders) {
        assert.equal(order.stage, stage);
        const ids = world.effects.filter(({ orderId }) => orderId === order.orderId).map(({ id }) => id);
        assert.equal(ids.length, effects, ids.join());
        assert.equal(new Set(ids).size, effects, ids.join());
      }
    });
  }

  // The new worker hears of the cancellation before it has repeated anything of the task that was lost.
  test("authorize, and the order is cancelled before the start: the card is voided", async () => {
    const order = anOrder();
    const { orderId } = order;
    const { world, environment } = killable;
    await killable.start();
    const started = Promise.withResolvers<Awaited<ReturnType<typeof startSaga>>>();
    world.onCall = async (step, when) => {
      if (when !== "after" || step !== "authorize") return;
      world.onCall = () => {};
      await killable.kill();
      const handle = await started.promise;
      await handle.signal(cancelOrderSignal, { orderId, reason: "too slow" });
      await killable.start();
    };
    started.resolve(await startSaga(environment, [order], impatient, "2s"));
    const { orders } = await (await started.promise).result();
    assert.deepEqual(orders, [{ orderId, stage: "CANCELLED" }]);
    assert.deepEqual(world.trace(orderId), ["reserve", "authorize", "void", "release", "CANCELLED"]);
  });
});

test("a trace survives the death of workers", async () => {
  const kept = await keepSpans();
  try {
    const orders = [orderOf({ traced: true }), orderOf({ traced: true })];
    await killable.start();
    const plan = killable.killAfter(["authorize", "prepare", "capture"]);
    const handle = await dispatched(orders, () => startSaga(killable.environment, orders, impatient, "2s"));
    const { orders: ends } = await handle.result();
    assert.deepEqual(plan.killed, ["authorize", "prepare", "capture"]);
    assert.ok(ends.every(({ stage: end }) => end === "DELIVERED"));
    const steps = ["reserve", "authorize", "confirm", "prepare", "ship", "capture", "commit", "transition", "deliver"];
    for (const order of orders) {
      const told = killable.spans.filter(({ attributes }) => attributes["order.id"] === order.orderId);
      assert.deepEqual([...new Set(told.map(({ traceId }) => traceId))], [traceOf(order)]);
      const done = told.filter(({ attributes }) => attributes["ordermesh.outcome"] === "done").map(({ name }) => name);
      assert.deepEqual(
        steps.filter((step) => !done.includes(step)),
        [],
      );
      assert.deepEqual(
        told.filter(({ name, attributes }) => name === "capture" && Number(attributes["ordermesh.attempt"]) > 1).length,
        1,
      );
    }
  } finally {
    await kept.stop();
  }
});
