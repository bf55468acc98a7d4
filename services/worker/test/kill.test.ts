import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { newId } from "#platform/id.ts";
import { keepSpans } from "#testing/kept-spans.ts";
import { until } from "#testing/until.ts";
import { anOrder } from "./stage/harness.ts";
import { Killable } from "./stage/killable.ts";
import { dispatched, orderOf, traceOf } from "./stage/traces.ts";
import { anEvent } from "./world/order-rows.ts";
import { on, type Rule } from "./world/rules.ts";

const forward = ["prepare", "settle", "ship", "capture", "commit", "settle"];
const declined = (orderId: string) => on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId });
const turnedDown = (orderId: string) => on("ship", { kind: "refuse", reason: "CARRIER_REFUSED" }, { orderId });

const cases: { name: string; kills: string[]; rules?: (orderId: string) => Rule[]; end: string; effects: number }[] = [
  { name: "reserve", kills: ["reserve"], end: "DELIVERED", effects: 11 },
  { name: "authorize", kills: ["authorize"], end: "DELIVERED", effects: 11 },
  { name: "confirm", kills: ["confirm"], end: "DELIVERED", effects: 11 },
  { name: "every step from the confirmed order on", kills: forward, end: "DELIVERED", effects: 11 },
  {
    name: "every compensation",
    kills: ["void", "release", "settle"],
    end: "REJECTED",
    effects: 4,
    rules: (orderId) => [declined(orderId)],
  },
  {
    name: "every step that drops a parcel",
    kills: ["void", "release"],
    end: "FAILED",
    effects: 9,
    rules: (orderId) => [turnedDown(orderId)],
  },
];

/** Most of the time nothing is done: a task of a worker that was killed is given to another one after ten seconds. */
const atOnce = 4;

describe("a worker that is killed and started again, after", { concurrency: atOnce }, () => {
  for (const { name, kills, rules, end, effects } of cases) {
    test(`${name}: nothing has an effect twice`, async () => {
      const orders = [anOrder(), anOrder()];
      await using killable = await Killable.open();
      const { world, rows } = killable;
      for (const { orderId } of orders) world.rules.push(...(rules?.(orderId) ?? []));
      await killable.start();
      const plan = killable.killAfter(kills);
      for (const order of orders) rows.place(order);
      await killable.ends(orders);
      await until(() => plan.killed.length === kills.length, "all kills are done");
      assert.deepEqual(plan.killed, kills);
      for (const { orderId } of orders) {
        assert.equal(world.order(orderId).status, end);
        const ids = world.effects.filter((effect) => effect.orderId === orderId).map(({ id }) => id);
        assert.equal(ids.length, effects, ids.join());
        assert.equal(new Set(ids).size, effects, ids.join());
      }
    });
  }

  test("every step that takes back what came back: it is back once", async () => {
    const order = anOrder();
    const { orderId } = order;
    await using killable = await Killable.open();
    const { world, rows } = killable;
    await killable.start();
    rows.place(order);
    await killable.ends([order]);
    const before = world.effects.length;
    const kills = ["restock", "refund", "complete", "settle"];
    const plan = killable.killAfter(kills);
    const parts = [{ sku: "tea", locationId: "BER", quantity: 1 }];
    rows.comesBack(orderId, { returnId: newId(), parts, amount: 1_000 });
    await until(() => world.cameBack.get(orderId)?.size === 0 && rows.isOver(orderId), "it is back", {
      deadlineMs: 60_000,
    });
    await until(() => plan.killed.length === kills.length, "all kills are done");
    assert.deepEqual(plan.killed.toSorted(), kills.toSorted());
    const ids = world.effects.slice(before).map(({ id }) => id);
    assert.equal(ids.length, 3, ids.join());
    assert.equal(new Set(ids).size, 3, ids.join());
    assert.equal(world.order(orderId).refunded, 1_000n);
  });

  // The new worker begins with what the task that was lost had done, and nobody has told it.
  test("confirm, and the order is cancelled before the start: all is undone", async () => {
    const order = anOrder();
    const { orderId } = order;
    await using killable = await Killable.open();
    const { world, rows } = killable;
    world.packs = () => undefined;
    await killable.start();
    world.onCall = async (step, when) => {
      if (when !== "after" || step !== "prepare") return;
      world.onCall = () => {};
      await killable.kill();
      const { episodeId } = rows.row(orderId);
      const request = { reason: "too slow", requestId: "c" };
      const cancelling = killable.starter.episodes.cancel(episodeId, orderId, request);
      const [cancelled] = await Promise.all([cancelling, killable.start()]);
      if (cancelled) rows.row(orderId).taken.push(anEvent("cancellation", { reason: "too slow" }));
    };
    rows.place(order);
    await until(() => world.onCall("", "before") === undefined && rows.isOver(orderId), "it is cancelled", {
      deadlineMs: 60_000,
    });
    world.packs = () => "PACKED";
    assert.equal(world.order(orderId).status, "CANCELLED");
    const trace = world.trace(orderId);
    assert.deepEqual(trace.slice(-4), ["cancel:BER", "void", "release", "CANCELLED"]);
    assert.equal(world.order(orderId).voided, world.order(orderId).authorized);
  });

  // What the new worker begins again is not interrupted before it is known how far the other one came.
  for (const { step, waits } of [
    { step: "screen", waits: ({ world }: Killable, id: string) => world.screens.set(id, "review") },
    {
      step: "reserve",
      waits: ({ world }: Killable, id: string) => {
        world.backOrders.add(id);
        world.short.add(id);
      },
    },
  ]) {
    test(`${step}, and the order is cancelled before the start: it does not wait`, async () => {
      const order = anOrder();
      const { orderId } = order;
      await using killable = await Killable.open();
      const { world, rows } = killable;
      waits(killable, orderId);
      await killable.start();
      world.onCall = async (called, when) => {
        if (when !== "after" || called !== step) return;
        world.onCall = () => {};
        await killable.kill();
        const { episodeId } = rows.row(orderId);
        const request = { reason: "too slow", requestId: "c" };
        const cancelled = killable.starter.episodes.cancel(episodeId, orderId, request);
        await killable.start();
        if (await cancelled) rows.row(orderId).taken.push(anEvent("cancellation", { reason: "too slow" }));
      };
      rows.place(order);
      await until(() => rows.isOver(orderId), "it is cancelled", { deadlineMs: 60_000 });
      assert.equal(world.order(orderId).status, "CANCELLED");
    });
  }
});

describe("a worker that is frozen with an undo on its way, whose workflow is terminated, and that wakes", {
  concurrency: atOnce,
}, () => {
  const undos = [
    { undo: "void", refused: "confirm", reason: "HOLD_EXPIRED" },
    { undo: "release", refused: "reserve", reason: "OUT_OF_STOCK" },
  ];
  for (const { undo, refused, reason } of undos) {
    test(`takes nothing from the one that goes on: ${undo}`, async () => {
      const order = anOrder();
      const { orderId } = order;
      await using killable = await Killable.open();
      const { world, rows } = killable;
      const standing = () => world.order(orderId);
      world.packs = () => undefined;
      world.rules.push(on(refused, { kind: "refuse", reason }, { orderId, times: 1 }));
      await killable.start();
      let wake: (() => void) | undefined;
      world.onCall = async (called, at) => {
        if (called !== undo || at !== "before" || wake) return;
        wake = killable.freeze();
        await killable.environment.client.workflow.getHandle(rows.row(orderId).episodeId).terminate();
        await killable.start();
        await until(() => standing().status === "PREPARING", "the other one has them packed", { deadlineMs: 60_000 });
      };
      rows.place(order);
      await until(() => world.refusedAsOver.includes(undo), "its call arrives", { deadlineMs: 90_000 });
      wake?.();
      const { length } = world.effects;
      // It is awake: it takes part in what is to be done, and what it was told has made no difference.
      world.packs = () => "PACKED";
      world.tell(orderId, "BER", { news: "PACKED" });
      await killable.ends([order]);
      assert.equal(standing().status, "DELIVERED");
      const since = world.effects.slice(length).map(({ effect }) => effect);
      assert.deepEqual(
        since.filter((effect) => /void|release|cancel/.test(effect)),
        [],
      );
      assert.deepEqual(
        [standing().captured, standing().voided, standing().released],
        [standing().authorized, 0n, false],
      );
    });
  }
});

test("a trace survives the death of workers", async () => {
  const kept = await keepSpans();
  try {
    await using killable = await Killable.open();
    const orders = [orderOf({ traced: true }), orderOf({ traced: true })];
    await killable.start();
    killable.around = (_, start) => dispatched(orders, start);
    const plan = killable.killAfter(["authorize", "prepare", "capture"]);
    for (const order of orders) killable.rows.place(order);
    await killable.ends(orders);
    assert.deepEqual(plan.killed, ["authorize", "prepare", "capture"]);
    const steps = ["reserve", "authorize", "confirm", "prepare", "ship", "capture", "commit", "settle", "deliver"];
    for (const order of orders) {
      const spans = () => killable.spans.filter(({ attributes }) => attributes["order.id"] === order.orderId);
      await until(() => spans().some(({ name }) => name === "deliver"), "the last span is told");
      const told = spans();
      assert.deepEqual([...new Set(told.map(({ traceId }) => traceId))], [traceOf(order)]);
      const done = told.filter(({ attributes }) => attributes["ordermesh.outcome"] === "done").map(({ name }) => name);
      assert.deepEqual(
        steps.filter((step) => !done.includes(step)),
        [],
      );
    }
  } finally {
    await kept.stop();
  }
});
