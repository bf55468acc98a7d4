// Workflows that are gone: their orders are carried again from where they were settled last.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "#testing/until.ts";
import { anOrder } from "../stage/harness.ts";
import { patient, Stage } from "../stage/stage.ts";
import { anEvent } from "../world/order-rows.ts";
import { on, type Rule } from "../world/rules.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage?.close());

const forward = ["reserve", "authorize", "confirm", "transition", "prepare", "settle", "ship", "capture", "commit"];
const declined = (orderId: string) => on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId });
const turnedDown = (orderId: string) => on("ship", { kind: "refuse", reason: "CARRIER_REFUSED" }, { orderId });

interface LostCase {
  step: string;
  rules?: (orderId: string) => Rule[];
  end: string;
  effects: number;
}

const cases: LostCase[] = [
  ...forward.map((step) => ({ step, end: "DELIVERED", effects: 11 })),
  { step: "void", rules: (orderId) => [declined(orderId)], end: "REJECTED", effects: 4 },
  { step: "release", rules: (orderId) => [declined(orderId)], end: "REJECTED", effects: 4 },
  { step: "settle", rules: (orderId) => [declined(orderId)], end: "REJECTED", effects: 4 },
  { step: "void", rules: (orderId) => [turnedDown(orderId)], end: "FAILED", effects: 9 },
  { step: "release", rules: (orderId) => [turnedDown(orderId)], end: "FAILED", effects: 9 },
];

describe("a workflow that is terminated", () => {
  for (const { step, rules, end, effects } of cases) {
    for (const when of ["before", "after"] as const) {
      test(`${when} "${step}", of an order that ends ${end}: nothing happens twice`, async () => {
        const order = anOrder();
        const { orderId } = order;
        const terminated = { times: 0 };
        stage.world.onCall = async (called, at) => {
          if (called !== step || at !== when || terminated.times > 0) return;
          terminated.times++;
          await stage.loses(orderId);
        };
        assert.deepEqual(await stage.run([order], rules?.(orderId) ?? []), [end]);
        stage.world.onCall = () => {};
        assert.equal(terminated.times, 1);
        assert.deepEqual(stage.doubles(orderId), []);
        assert.equal(stage.world.trace(orderId).length, effects, stage.world.trace(orderId).join());
        const { authorized, captured, voided } = stage.world.order(orderId);
        assert.equal(captured + voided, authorized);
      });
    }
  }

  test("after it confirmed the order, which is then cancelled: all of it is undone", async () => {
    const order = anOrder();
    const { orderId } = order;
    stage.world.packs = () => undefined;
    stage.world.onCall = async (called, at) => {
      if (called !== "settle" || at !== "before") return;
      stage.world.onCall = () => {};
      const { episodeId, taken } = stage.rows.row(orderId);
      await stage.workflow(episodeId).terminate();
      taken.push(anEvent("cancellation", { reason: "meanwhile" }));
      stage.rows.giveBack(episodeId);
    };
    assert.deepEqual(await stage.run([order]), ["CANCELLED"]);
    assert.deepEqual(stage.world.trace(orderId).slice(-4), ["cancel:BER", "void", "release", "CANCELLED"]);
    assert.deepEqual(stage.doubles(orderId), []);
    stage.world.packs = () => "PACKED";
  });

  test("and was only slow: its settlement is refused, and the order is another one's", async () => {
    const order = anOrder();
    const { orderId } = order;
    let wake = () => {};
    let slept = false;
    stage.world.onCall = (called, at) => {
      if (called !== "settle" || at !== "before" || slept) return undefined;
      slept = true;
      return new Promise((resolve) => {
        wake = resolve;
      });
    };
    stage.place([order]);
    await until(() => slept, "the first episode settles", patient);
    const zombie = stage.rows.row(orderId).episodeId;
    assert.equal(stage.rows.giveBack(zombie), 1);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    wake();
    await stage.workflow(zombie).result();
    assert.equal(stage.world.order(orderId).status, "DELIVERED");
    assert.deepEqual(stage.doubles(orderId), []);
    stage.world.onCall = () => {};
  });

  for (const step of ["reserve", "authorize", "confirm", "transition"]) {
    test(`and was only slow at "${step}", while another one has the parcels packed: it takes nothing back`, async () => {
      const order = anOrder();
      const { orderId } = order;
      const standing = () => stage.world.order(orderId);
      const asked = stage.world.batches.length;
      stage.world.packs = () => undefined;
      let zombie = "";
      stage.world.onCall = async (called, at) => {
        if (called !== step || at !== "before" || zombie !== "") return;
        zombie = stage.rows.row(orderId).episodeId;
        assert.equal(stage.rows.giveBack(zombie), 1);
        await until(() => standing().status === "PREPARING", "the other one has them packed", patient);
      };
      stage.place([order]);
      await until(() => zombie !== "", "the first episode comes there", patient);
      await stage.workflow(zombie).result();
      stage.world.onCall = () => {};
      stage.world.packs = () => "PACKED";
      assert.deepEqual([standing().status, standing().voided, standing().released], ["PREPARING", 0n, false]);
      assert.deepEqual(stage.doubles(orderId), []);
      // Nor does it ask for it: that everybody refuses what it asks is for what was on its way.
      const undos = stage.world.batches.slice(asked).filter(({ step }) => step === "void" || step === "release");
      assert.deepEqual(undos, []);
    });
  }

  const passing: { undo: string; refused: string; reason: string; changes?: Parameters<typeof anOrder>[0] }[] = [
    { undo: "void", refused: "confirm", reason: "HOLD_EXPIRED" },
    { undo: "release", refused: "reserve", reason: "OUT_OF_STOCK" },
    { undo: "release", refused: "confirm", reason: "HOLD_EXPIRED", changes: { total: { currency: "EUR", amount: 0 } } },
  ];
  for (const { undo, refused, reason, changes } of passing) {
    test(`and was only slow at "${undo}", after ${reason}, while another one has the parcels packed: its undo comes too late`, async () => {
      const order = anOrder(changes);
      const { orderId } = order;
      const standing = () => stage.world.order(orderId);
      stage.world.packs = () => undefined;
      let zombie = "";
      stage.world.onCall = async (called, at) => {
        if (called !== undo || at !== "before" || zombie !== "") return;
        zombie = stage.rows.row(orderId).episodeId;
        assert.equal(stage.rows.giveBack(zombie), 1);
        await until(() => standing().status === "PREPARING", "the other one has them packed", patient);
      };
      // What was in the way is gone when it is asked again.
      stage.place([order], [on(refused, { kind: "refuse", reason }, { orderId, times: 1 })]);
      await until(() => zombie !== "", "the first episode begins to undo", patient);
      await stage.workflow(zombie).result();
      stage.world.onCall = () => {};
      assert.deepEqual([standing().status, standing().voided, standing().released], ["PREPARING", 0n, false]);
      assert.deepEqual(stage.doubles(orderId), []);
      assert.equal(stage.rows.row(orderId).parked, undefined);
      assert.deepEqual(
        stage.rows.row(orderId).settlements.flatMap(({ parked }) => (parked ? [parked.step] : [])),
        [],
      );
      // The order goes on as if nothing had been.
      stage.world.packs = () => "PACKED";
      stage.world.tell(orderId, "BER", { news: "PACKED" });
      assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
      const { authorized, captured } = standing();
      assert.equal(captured, authorized);
    });
  }

  test("and was terminated, with its undo still on its way: each of its calls bears a lower number than those of the other one", async () => {
    const order = anOrder();
    const { orderId } = order;
    const refusedOnce = on("confirm", { kind: "refuse", reason: "HOLD_EXPIRED" }, { orderId, times: 1 });
    let wake = () => {};
    let zombie = "";
    stage.world.onCall = (called, at) => {
      if (called !== "void" || at !== "before" || zombie !== "") return undefined;
      zombie = stage.rows.row(orderId).episodeId;
      return new Promise((resolve) => {
        wake = resolve;
      });
    };
    stage.place([order], [refusedOnce]);
    await until(() => zombie !== "", "the first episode begins to undo", patient);
    await stage.workflow(zombie).terminate();
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    wake();
    const { length } = stage.world.effects;
    await until(() => stage.world.refusedAsOver.includes("void"), "the call that was on its way is answered", patient);
    stage.world.onCall = () => {};
    assert.equal(stage.world.effects.length, length);
    const { authorized, captured, voided } = stage.world.order(orderId);
    assert.deepEqual([captured, voided], [authorized, 0n]);
  });

  test("between giving the money up and the stock: the order is not confirmed without money", async () => {
    const order = anOrder();
    const { orderId } = order;
    const asleep = Promise.withResolvers<void>();
    let released = 0;
    stage.world.onCall = async (called, at) => {
      if (called !== "release" || at !== "before" || released++ > 0) return;
      // What its first task began would go on: this is as far as it gets.
      await stage.workflow(stage.rows.row(orderId).episodeId).terminate();
      await asleep.promise;
    };
    const once = on("confirm", { kind: "refuse", reason: "HOLD_EXPIRED" }, { orderId, times: 1 });
    assert.deepEqual(await stage.run([order], [once]), ["REJECTED"]);
    const { length } = stage.world.refusedAsOver;
    asleep.resolve();
    await until(() => stage.world.refusedAsOver.length > length, "the call that was on its way is answered", patient);
    stage.world.onCall = () => {};
    assert.deepEqual(stage.world.trace(orderId).slice(0, 4), ["reserve", "authorize", "void", "release"]);
    const { authorized, captured, voided } = stage.world.order(orderId);
    assert.deepEqual([captured, voided], [0n, authorized]);
  });
});
