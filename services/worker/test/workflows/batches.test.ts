import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Worker } from "@temporalio/worker";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { dataConverter } from "../stage/encryption.ts";
import { anOrder, bundleOf } from "../stage/harness.ts";
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
  const unpackable = new Set<string>();
  stage.world.packs = (orderId) => (unpackable.has(orderId) ? "PACKING_FAILED" : "PACKED");
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
      unpackable.add(orderId);
      return "FAILED";
    }
    return "DELIVERED";
  });
  return { rules, expected };
}

async function historyOf(stageOf: Stage, orderId: string, number: number) {
  const episodes = stageOf.starter.started.filter(({ orderIds }) => orderIds.includes(orderId));
  return await stageOf.workflow(episodes[number]?.episodeId ?? "").fetchHistory();
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

  test("of 16 checkouts is one workflow task, and so is each later episode", async () => {
    stage.world.packs = () => "PACKED";
    const orders = Array.from({ length: 16 }, () => anOrder());
    await stage.run(orders);
    for (const number of [0, 1, 2]) {
      const history = await historyOf(stage, idOf(orders, 0), number);
      const tasks = history.events?.filter(({ workflowTaskStartedEventAttributes: started }) => started) ?? [];
      const activities =
        history.events?.filter(({ activityTaskScheduledEventAttributes: scheduled }) => scheduled) ?? [];
      assert.deepEqual([tasks.length, activities.length], [1, 0], `episode ${number}`);
      await Worker.runReplayHistory({ workflowBundle: await bundleOf(), dataConverter }, history);
    }
  });

  test("that one order poisons is halved until it stands alone; the others go on, and it later", async () => {
    const orders = Array.from({ length: 64 }, () => anOrder());
    const poisonous = idOf(orders, 37);
    const rule = on("authorize", { kind: "invalid" }, { orderId: poisonous });
    const others = orders.filter(({ orderId }) => orderId !== poisonous);
    stage.place(orders, [rule]);
    assert.ok((await stage.ends(others)).every((end) => end === "DELIVERED"));
    assert.deepEqual(stage.world.trace(poisonous), ["reserve"]);
    const { waitsFor, parked } = stage.rows.row(poisonous);
    assert.deepEqual([waitsFor, parked], ["payments", undefined]);
    stage.world.rules.splice(stage.world.rules.indexOf(rule), 1);
    assert.deepEqual(await stage.ends(orders.slice(37, 38)), ["DELIVERED"]);
  });

  test("whose callee is away is not halved", async () => {
    const orders = Array.from({ length: 8 }, () => anOrder());
    const rule = on("authorize", { kind: "unavailable" }, { orderId: idOf(orders, 3), times: 2 });
    const before = stage.world.batches.length;
    await stage.run(orders, [rule]);
    const authorized = stage.world.batches.slice(before).filter(({ step }) => step === "authorize");
    assert.deepEqual(authorized.slice(0, 2), [
      { step: "authorize", size: 8 },
      { step: "authorize", size: 8 },
    ]);
  });

  test("that one settlement poisons settles the others; the one is carried again", async () => {
    const orders = Array.from({ length: 4 }, () => anOrder());
    const rule = on("settle", { kind: "invalid" }, { orderId: idOf(orders, 2), times: 4 });
    assert.ok((await stage.run(orders, [rule])).every((end) => end === "DELIVERED"));
    for (const { orderId } of orders) assert.deepEqual(stage.doubles(orderId), []);
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

  test("is captured parcel by parcel, as each is packed", async () => {
    const order = anOrder();
    const { orderId } = order;
    split(orderId);
    stage.world.packs = (_, locationId) => (locationId === "HAM" ? undefined : "PACKED");
    stage.place([order]);
    await stage.rests(orderId, () => stage.world.order(orderId).captured === 1_000n);
    assert.equal(stage.world.order(orderId).status, "PREPARING");
    stage.world.tell(orderId, "HAM", { news: "PACKED" });
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    stage.world.packs = () => "PACKED";
    const trace = stage.world.trace(orderId);
    for (const effect of ["ship:BER", "ship:HAM", "capture:BER", "capture:HAM", "commit:BER", "commit:HAM"]) {
      assert.ok(trace.includes(effect), effect);
    }
    assert.equal(stage.world.order(orderId).captured, 2_500n);
  });

  for (const refusal of ["by the carrier", "by the warehouse", "by the carrier, later"] as const) {
    test(`goes without the parcel that is refused ${refusal}`, async () => {
      const order = anOrder();
      const { orderId } = order;
      split(orderId);
      const rules: Rule[] = [];
      if (refusal === "by the carrier") {
        rules.push(on("ship:HAM", { kind: "refuse", reason: "CARRIER_REFUSED" }, { orderId }));
      }
      if (refusal === "by the carrier, later") rules.push(on("ship:HAM", { kind: "pending" }, { orderId, times: 1 }));
      stage.world.packs = (id, locationId) =>
        id === orderId && locationId === "HAM" && refusal === "by the warehouse" ? "PACKING_FAILED" : "PACKED";
      stage.place([order], rules);
      if (refusal === "by the carrier, later") {
        await stage.rests(orderId, () => stage.rows.state(orderId).parcels.some(({ stage: at }) => at === "BOOKING"));
        stage.world.tell(orderId, "HAM", { news: "BOOKING_REFUSED" });
      }
      assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
      const { captured, voided, stock } = stage.world.order(orderId);
      assert.deepEqual({ captured, voided }, { captured: 1_000n, voided: 1_500n });
      assert.deepEqual(Object.fromEntries(stock), { BER: "committed", HAM: "released" });
      const trace = stage.world.trace(orderId);
      assert.deepEqual(
        trace.filter((effect) => effect.endsWith(":HAM")),
        ["prepare:HAM", "void:HAM", "release:HAM"],
      );
    });
  }

  test("gets back the money for the parcel that is lost", async () => {
    const order = anOrder();
    const { orderId } = order;
    split(orderId);
    stage.world.arrives = (id, locationId) => (id === orderId && locationId === "HAM" ? "LOST" : "DELIVERED");
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    const { captured, refunded } = stage.world.order(orderId);
    assert.deepEqual({ captured, refunded }, { captured: 2_500n, refunded: 1_500n });
  });

  describe("with shipping, discounts and taxes", () => {
    const adjusted = () =>
      anOrder({
        lines: [
          { sku: "tea", quantity: 2, unitPrice: 1_000, amount: 2_101 },
          { sku: "cup", quantity: 1, unitPrice: 500, amount: 489 },
        ],
        total: { currency: "EUR", amount: 2_590 },
      });
    const cases = [
      { what: "captures", end: "DELIVERED", money: { captured: 2_590n, voided: 0n, refunded: 0n } },
      {
        what: "voids",
        packs: "PACKING_FAILED",
        end: "DELIVERED",
        money: { captured: 1_050n, voided: 1_540n, refunded: 0n },
      },
      { what: "refunds", arrives: "LOST", end: "DELIVERED", money: { captured: 2_590n, voided: 0n, refunded: 1_540n } },
    ];
    for (const { what, packs = "PACKED", arrives = "DELIVERED", end, money } of cases) {
      test(`${what} a parcel's part of them`, async () => {
        const order = adjusted();
        const { orderId } = order;
        split(orderId);
        const isHere = (id: string, locationId: string) => id === orderId && locationId === "HAM";
        stage.world.packs = (id, locationId) => (isHere(id, locationId) ? packs : "PACKED");
        stage.world.arrives = (id, locationId) => (isHere(id, locationId) ? arrives : "DELIVERED");
        assert.deepEqual(await stage.run([order]), [end]);
        stage.world.packs = () => "PACKED";
        stage.world.arrives = () => "DELIVERED";
        const { confirmedAs, authorized, captured, voided, refunded } = stage.world.order(orderId);
        assert.equal(authorized, 2_590n);
        assert.deepEqual(confirmedAs, { BER: 1_050n, HAM: 1_540n });
        assert.deepEqual({ captured, voided, refunded }, money);
        const { parcels } = stage.rows.state(orderId);
        assert.deepEqual(
          parcels.map(({ locationId, amount }) => [locationId, amount]),
          [
            ["BER", 1_050],
            ["HAM", 1_540],
          ],
        );
      });
    }
  });

  test("fails when all parcels are lost", async () => {
    const order = anOrder();
    const { orderId } = order;
    split(orderId);
    stage.world.arrives = () => "LOST";
    assert.deepEqual(await stage.run([order]), ["FAILED"]);
    stage.world.arrives = () => "DELIVERED";
    assert.equal(stage.world.order(orderId).refunded, 2_500n);
    assert.equal(stage.world.order(orderId).failure, "LOST_IN_TRANSIT");
  });
});

describe("news of a parcel", () => {
  const orders = [
    ["PACKED", "BOOKED", "DELIVERED"],
    ["DELIVERED", "BOOKED", "PACKED"],
    ["BOOKED", "DELIVERED", "PACKED"],
    ["DELIVERED", "PACKED", "PACKED", "DELIVERED", "BOOKED", "BOOKED", "LOST", "SOMETHING_NEW"],
  ];
  for (const told of orders) {
    for (const together of [true, false]) {
      test(`${told.join(", ")}, ${together ? "together" : "one after the other"}, is understood`, async () => {
        const order = anOrder();
        const { orderId } = order;
        stage.world.packs = (id) => (id === orderId ? undefined : "PACKED");
        stage.world.arrives = () => undefined;
        stage.place([order]);
        await stage.rests(orderId, () => stage.world.order(orderId).status === "PREPARING");
        for (const news of told) {
          stage.world.tell(orderId, "BER", { news, trackingNumber: news === "PACKED" ? "" : "T-BER" });
          if (!together) await stage.rests(orderId);
        }
        assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
        assert.deepEqual(stage.doubles(orderId), []);
        assert.equal(stage.world.order(orderId).captured, 2_500n);
        assert.equal(stage.world.order(orderId).refunded, 0n);
        stage.world.arrives = () => "DELIVERED";
        stage.world.packs = () => "PACKED";
      });
    }
  }
});
