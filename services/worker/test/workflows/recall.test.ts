// Orders that are cancelled when parcels of them have left: what has not is called off, what has is turned back or returned.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { newId } from "#platform/id.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { anOrder } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import { type Behaviour, on } from "../world/rules.ts";

let stage: Stage;
const packedLater = new Set<string>();
before(async () => {
  stage = await Stage.open({ awayFirstMs: 50, awayMaxMs: 50 });
  stage.world.packs = (orderId, locationId) => (packedLater.has(`${orderId}:${locationId}`) ? undefined : "PACKED");
  stage.world.arrives = () => undefined;
  stage.world.allocate = (orderId, lines) =>
    lines.map((line, index) => ({ ...line, locationId: index > 0 && twofold.has(orderId) ? "HAM" : "BER" }));
});
after(() => stage?.close());

const twofold = new Set<string>();
const away: Behaviour = { kind: "unavailable" };
const until = ["reserve", "authorize", "confirm", "CONFIRMED", "prepare:BER"];
const shipped = [...until, "ship:BER", "capture:BER", "commit:BER", "PREPARING", "SHIPPED"];

/** An order of two parcels, of which that from HAM is packed later if it says so. */
function twoParcels({ packs = true } = {}): SagaOrder {
  const order = anOrder();
  twofold.add(order.orderId);
  if (!packs) packedLater.add(`${order.orderId}:HAM`);
  return order;
}

const tell = (orderId: string, news: string, locationId = "BER") => stage.world.tell(orderId, locationId, { news });

/** An order whose parcels are on their way. */
async function onItsWay(order = anOrder()): Promise<string> {
  const { orderId } = order;
  stage.place([order]);
  await stage.rests(orderId, () => stage.world.order(orderId).status === "SHIPPED");
  return orderId;
}

/** What has happened to an order since it was on its way. */
const since = (orderId: string) => stage.world.trace(orderId).slice(shipped.length);

/** Waits for the end of an order, and until nothing of it is to be put back. */
async function over(orderId: string): Promise<string> {
  await stage.rests(orderId, () => stage.rows.isOver(orderId) && (stage.world.cameBack.get(orderId)?.size ?? 0) === 0);
  assert.deepEqual(stage.doubles(orderId), []);
  return stage.world.order(orderId).status;
}

function isRepaid(orderId: string): void {
  const { captured, refunded, voided, authorized } = stage.world.order(orderId);
  assert.deepEqual([refunded, captured + voided], [captured, authorized]);
}

/** How the order shows a parcel. */
function shown(orderId: string, locationId = "BER") {
  const { shipments = [] } = stage.rows.row(orderId).settlements.at(-1) ?? {};
  return shipments.find((each) => each.locationId === locationId);
}

describe("a parcel that has left", () => {
  test("is turned back: when it is here, its stock and its money are back, and the order is CANCELLED", async () => {
    const orderId = await onItsWay();
    assert.equal(await stage.recall(orderId), "recalled");
    await stage.rests(orderId, () => shown(orderId)?.turnBack === 1);
    tell(orderId, "TURNING_BACK");
    await stage.rests(orderId, () => shown(orderId)?.turnBack === 2);
    assert.equal(stage.world.order(orderId).status, "SHIPPED");
    assert.equal(stage.world.order(orderId).refunded, 0n);
    tell(orderId, "RETURNED");
    assert.equal(await over(orderId), "CANCELLED");
    const returnId = shown(orderId)?.returnId;
    assert.ok(returnId);
    const effects = since(orderId);
    assert.deepEqual(effects.slice(0, 3), ["turn-back:BER", "receive:BER", "CANCELLED"]);
    assert.deepEqual(
      effects.slice(3).toSorted(),
      ["complete", "refund", "restock"].map((each) => `${each}:${returnId}`),
    );
    assert.equal(stage.world.order(orderId).failure, "CANCELLED_BY_CUSTOMER");
    isRepaid(orderId);
  });

  test("is turned back at once where the carrier says so at once", async () => {
    stage.world.turnsBack = () => "AGREED";
    const orderId = await onItsWay();
    assert.equal(await stage.recall(orderId), "recalled");
    await stage.rests(orderId, () => shown(orderId)?.turnBack === 2);
    stage.world.turnsBack = () => "ASKED";
    tell(orderId, "RETURNED");
    assert.equal(await over(orderId), "CANCELLED");
  });

  const nevertheless: { what: string; news: string[]; trace: string[] }[] = [
    {
      what: "the carrier refuses to turn back",
      news: ["TURN_BACK_REFUSED", "DELIVERED"],
      trace: ["announce:BER", "DELIVERED"],
    },
    { what: "is turned back and delivered nevertheless", news: ["TURNING_BACK", "DELIVERED"], trace: ["DELIVERED"] },
    { what: "arrives before the carrier has answered", news: ["DELIVERED"], trace: ["DELIVERED"] },
  ];
  for (const { what, news } of nevertheless) {
    test(`which ${what} is delivered, and is to be returned`, async () => {
      const orderId = await onItsWay();
      assert.equal(await stage.recall(orderId), "recalled");
      await stage.rests(orderId, () => shown(orderId)?.turnBack === 1);
      for (const each of news) {
        tell(orderId, each);
        await stage.rests(orderId);
      }
      assert.equal(await over(orderId), "DELIVERED");
      assert.deepEqual(since(orderId).toSorted(), ["DELIVERED", "announce:BER", "turn-back:BER"]);
      assert.ok(shown(orderId)?.returnId);
      assert.equal(stage.world.order(orderId).refunded, 0n);
    });
  }

  for (const answer of ["TURNING_BACK", "TURN_BACK_REFUSED", undefined]) {
    test(`and is lost after ${answer ?? "no answer"} is paid back once`, async () => {
      const orderId = await onItsWay();
      assert.equal(await stage.recall(orderId), "recalled");
      await stage.rests(orderId, () => shown(orderId)?.turnBack === 1);
      if (answer) tell(orderId, answer);
      await stage.rests(orderId);
      tell(orderId, "LOST");
      assert.equal(await over(orderId), "CANCELLED");
      assert.equal(since(orderId).filter((effect) => effect === "refund:BER").length, 1);
      isRepaid(orderId);
    });
  }

  test("and that the warehouse has received is back, whatever the carrier says", async () => {
    const orderId = await onItsWay();
    await stage.recall(orderId);
    await stage.rests(orderId, () => shown(orderId)?.turnBack === 1);
    const { confirmedAs, parts } = stage.world.order(orderId);
    const returnId = newId();
    stage.rows.row(orderId).parcelReturns.set("BER", { returnId, isReceived: true });
    stage.rows.comesBack(orderId, { returnId, parts, amount: Number(confirmedAs.BER), parcelLocationId: "BER" });
    assert.equal(await over(orderId), "CANCELLED");
    tell(orderId, "RETURNED");
    await stage.rests(orderId);
    isRepaid(orderId);
    assert.equal(shown(orderId)?.returnId, returnId);
  });

  test("comes back although nobody has asked for it: it could not be delivered, and is paid back", async () => {
    const orderId = await onItsWay();
    tell(orderId, "RETURNED");
    assert.equal(await over(orderId), "FAILED");
    assert.equal(stage.world.order(orderId).failure, "RETURNED_TO_SENDER");
    isRepaid(orderId);
  });

  test("and is lost after some of it came without it is paid back for the rest", async () => {
    const orderId = await onItsWay();
    stage.rows.comesBack(orderId, { returnId: newId(), parts: [], amount: 100 });
    await stage.rests(orderId, () => stage.world.order(orderId).refunded === 100n);
    tell(orderId, "LOST");
    assert.equal(await over(orderId), "FAILED");
    isRepaid(orderId);
    assert.equal(shown(orderId)?.refunded?.amount, stage.world.order(orderId).captured - 100n);
  });
});

describe("of several parcels", () => {
  test("those that are here are called off, and those that have left are turned back", async () => {
    const order = twoParcels({ packs: false });
    const { orderId } = order;
    stage.place([order]);
    await stage.rests(orderId, () => stage.world.trace(orderId).includes("commit:BER"));
    assert.equal(await stage.recall(orderId), "recalled");
    await stage.rests(orderId, () => shown(orderId)?.turnBack === 1);
    const effects = stage.world.trace(orderId);
    for (const effect of ["cancel:HAM", "void:HAM", "release:HAM", "turn-back:BER"])
      assert.ok(effects.includes(effect));
    assert.ok(!effects.includes("ship:HAM"));
    tell(orderId, "TURNING_BACK");
    tell(orderId, "RETURNED");
    assert.equal(await over(orderId), "CANCELLED");
    isRepaid(orderId);
  });

  test("one that arrived before stays with the customer, and the order is DELIVERED", async () => {
    const orderId = await onItsWay(twoParcels());
    tell(orderId, "DELIVERED", "HAM");
    await stage.rests(orderId, () => shown(orderId, "HAM")?.status === 3);
    assert.equal(await stage.recall(orderId), "recalled");
    await stage.rests(orderId, () => shown(orderId)?.turnBack === 1);
    tell(orderId, "RETURNED");
    assert.equal(await over(orderId), "DELIVERED");
    const { captured, refunded, confirmedAs } = stage.world.order(orderId);
    assert.deepEqual([refunded, captured - refunded], [confirmedAs.BER, confirmedAs.HAM]);
    assert.ok(!stage.world.trace(orderId).some((effect) => effect.startsWith("announce")));
  });

  test("one that is lost after the other came back is paid back from each payment once", async () => {
    const order = twoParcels({ packs: false });
    const { orderId } = order;
    packedLater.add(`${orderId}:BER`);
    stage.place([order]);
    await stage.rests(orderId, () => stage.world.order(orderId).status === "PREPARING");
    const lines = [
      { sku: "tea", quantity: 4, unitPrice: 1_000 },
      { sku: "cup", quantity: 3, unitPrice: 500 },
    ];
    stage.world.amends = (_, { sku, quantity }) => [{ sku, quantity, locationId: sku === "cup" ? "HAM" : "BER" }];
    stage.rows.amend(orderId, { lines, total: { currency: "EUR", amount: 5_500 }, cardToken: "tok_approve" });
    await stage.rests(orderId, () => stage.rows.row(orderId).amendments.every(({ isOver }) => isOver));
    for (const locationId of ["BER", "HAM"]) stage.world.tell(orderId, locationId, { news: "PACKED", generation: 1 });
    await stage.rests(orderId, () => stage.world.order(orderId).status === "SHIPPED");
    stage.world.tell(orderId, "HAM", { news: "DELIVERED", generation: 1 });
    await stage.rests(orderId, () => shown(orderId, "HAM")?.status === 3);
    stage.rows.comesBack(orderId, { returnId: newId(), parts: [], amount: 1_500 });
    await stage.rests(orderId, () => stage.world.order(orderId).refunded === 1_500n);
    // What it was amended to cost.
    stage.rows.row(orderId).losses.set("BER", 4_000n);
    stage.world.tell(orderId, "BER", { news: "LOST", generation: 1 });
    assert.equal(await over(orderId), "DELIVERED");
    assert.deepEqual([stage.world.order(orderId).refunded, stage.world.payment(orderId).refunded], [5_500n, 2_500n]);
    assert.deepEqual(stage.doubles(orderId), []);
  });

  test("all of them are called off when none has left after all", async () => {
    const order = twoParcels({ packs: false });
    const { orderId } = order;
    packedLater.add(`${orderId}:BER`);
    stage.place([order]);
    await stage.rests(orderId, () => stage.world.order(orderId).status === "PREPARING");
    stage.rows.recall(orderId);
    assert.equal(await over(orderId), "CANCELLED");
    const { captured, voided, authorized, stock } = stage.world.order(orderId);
    assert.deepEqual([captured, voided, [...stock.values()]], [0n, authorized, ["released", "released"]]);
  });
});

describe("a parcel that just leaves", () => {
  for (const step of ["ship", "capture", "commit"]) {
    test(`at rest before "${step}" is called off or turned back`, async () => {
      const order = anOrder();
      const { orderId } = order;
      // Until it is called back: on a busy machine a rest of a moment is over before somebody looks.
      const isAway = on(step, away, { orderId });
      let isBack = false;
      stage.place([order], [(call) => (isBack ? undefined : isAway(call))]);
      await stage.rests(orderId, () => stage.rows.row(orderId).waitsFor !== "");
      assert.equal(await stage.recall(orderId), "recalled");
      isBack = true;
      if (step !== "ship") {
        await stage.rests(orderId, () => shown(orderId)?.turnBack === 1);
        tell(orderId, "RETURNED");
      }
      assert.equal(await over(orderId), "CANCELLED");
      isRepaid(orderId);
    });
  }

  test("and that the carrier refuses while the cancellation comes ends CANCELLED, though nobody had told its workflow", async () => {
    const order = anOrder();
    const { orderId } = order;
    let answer: string | undefined;
    let unaware = "";
    stage.world.onCall = async (called, at) => {
      if (called !== "ship" || at !== "before" || answer !== undefined) return;
      unaware = stage.rows.row(orderId).episodeId;
      answer = await stage.recall(orderId);
    };
    stage.place([order], [on("ship", { kind: "refuse", reason: "CARRIER_REFUSED" }, { orderId })]);
    assert.equal(await over(orderId), "CANCELLED");
    stage.world.onCall = () => {};
    assert.equal(answer, "recalled");
    const end = stage.rows.row(orderId).settlements.find(({ status }) => status === OrderStatus.CANCELLED);
    assert.equal(end?.episodeId, unaware);
    const { failure, captured, voided, authorized, stock } = stage.world.order(orderId);
    assert.equal(failure, "CANCELLED_BY_CUSTOMER");
    assert.deepEqual([captured, voided, [...stock.values()]], [0n, authorized, ["released"]]);
  });

  test("while the carrier has not decided is called off, or turned back when it is taken", async () => {
    const order = anOrder();
    const { orderId } = order;
    const undecided = [
      on("ship", { kind: "pending" }, { orderId, times: 1 }),
      on("cancel", { kind: "pending" }, { orderId, times: 2 }),
    ];
    stage.place([order], undecided);
    await stage.rests(orderId, () => stage.rows.state(orderId).parcels[0]?.stage === "BOOKING");
    stage.world.order(orderId).shipments.set("BER", "shipped");
    assert.equal(await stage.recall(orderId), "recalled");
    await stage.rests(orderId, () => shown(orderId)?.turnBack === 1);
    tell(orderId, "RETURNED");
    assert.equal(await over(orderId), "CANCELLED");
    isRepaid(orderId);
  });
});

test("an amendment that is not decided does not happen any more", async () => {
  const order = twoParcels({ packs: false });
  const { orderId } = order;
  stage.place([order], [on("amend", away, { orderId, times: 3 })]);
  await stage.rests(orderId, () => stage.world.trace(orderId).includes("commit:BER"));
  stage.rows.amend(orderId, { address: { ...order.address, city: "Paris" } });
  stage.rows.recall(orderId);
  await stage.rests(orderId, () => shown(orderId)?.turnBack === 1);
  assert.notEqual(stage.rows.amended(orderId), "accepted");
  tell(orderId, "RETURNED");
  assert.equal(await over(orderId), "CANCELLED");
  isRepaid(orderId);
});

for (const step of ["turn-back", "resolve", "transition", "settle", "restock", "refund", "complete"]) {
  for (const when of ["before", "after"] as const) {
    test(`a workflow that is terminated ${when} "${step}" of a recall: nothing happens twice`, async () => {
      const orderId = await onItsWay();
      let times = 0;
      stage.world.onCall = async (called, at) => {
        if (called !== step || at !== when || times > 0) return;
        times += 1;
        await stage.loses(orderId);
      };
      await stage.recall(orderId);
      await stage.rests(orderId, () => since(orderId).includes("turn-back:BER"));
      tell(orderId, "TURNING_BACK");
      tell(orderId, "RETURNED");
      assert.equal(await over(orderId), "CANCELLED");
      stage.world.onCall = () => {};
      isRepaid(orderId);
    });
  }
}

test("48 recalls, departures and arrivals at once: each ends as it was told, and as the money says", async () => {
  const orders = Array.from({ length: 48 }, () => anOrder());
  for (const { orderId } of orders) packedLater.add(`${orderId}:BER`);
  stage.place(orders);
  for (const { orderId } of orders) await stage.rests(orderId, () => stage.world.order(orderId).status === "PREPARING");
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const told = await Promise.all(
    orders.map(async ({ orderId }, index) => {
      tell(orderId, "PACKED");
      if (index % 3 === 0) stage.world.tell(orderId, "BER", { news: "DELIVERED" });
      await pause((index % 12) * 20);
      const answer = await stage.recall(orderId);
      tell(orderId, ["DELIVERED", "LOST", "RETURNED"][index % 3] ?? "");
      return answer;
    }),
  );
  for (const [index, { orderId }] of orders.entries()) {
    const status = await over(orderId);
    const { captured, voided, authorized, refunded } = stage.world.order(orderId);
    assert.equal(captured + voided, authorized, orderId);
    const ends: Record<string, string[]> = {
      accepted: ["CANCELLED"],
      recalled: ["CANCELLED", "DELIVERED"],
      refused: ["DELIVERED", "FAILED"],
    };
    assert.ok(ends[told[index] ?? ""]?.includes(status), `${told[index]} ${status}`);
    assert.equal(refunded, status === "DELIVERED" ? 0n : captured, `${told[index]} ${status}`);
    const announced = stage.world.trace(orderId).includes("announce:BER");
    assert.equal(announced, told[index] === "recalled" && status === "DELIVERED", `${told[index]} ${status}`);
  }
});
