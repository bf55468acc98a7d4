import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "#testing/until.ts";
import { anOrder } from "../stage/harness.ts";
import { patient, Stage } from "../stage/stage.ts";
import { anEvent } from "../world/order-rows.ts";
import { type Behaviour, on } from "../world/rules.ts";

let stage: Stage;
const packedLater = new Set<string>();
const arrivesLater = new Set<string>();
before(async () => {
  stage = await Stage.open({ awayFirstMs: 3_000, awayMaxMs: 3_000 });
  stage.world.packs = (orderId) => (packedLater.has(orderId) ? undefined : "PACKED");
  stage.world.arrives = (orderId) => (arrivesLater.has(orderId) ? undefined : "DELIVERED");
});
after(() => stage?.close());

const checkout = ["reserve", "authorize", "confirm", "CONFIRMED"];
const away: Behaviour = { kind: "unavailable" };
const undone = ["void", "release", "CANCELLED"];

/** An order whose parcel is packed later. */
function slowlyPacked() {
  const order = anOrder();
  packedLater.add(order.orderId);
  return order;
}

const rests: { at: string; rule?: [step: string, behaviour: Behaviour]; trace: string[] }[] = [
  { at: "reserve is away", rule: ["reserve", away], trace: undone },
  { at: "authorize is away", rule: ["authorize", away], trace: ["reserve", ...undone] },
  { at: "the gateway has not decided", rule: ["authorize", { kind: "pending" }], trace: ["reserve", ...undone] },
  { at: "confirm is away", rule: ["confirm", away], trace: ["reserve", "authorize", ...undone] },
  { at: "the shipment cannot be created", rule: ["prepare", away], trace: [...checkout, "cancel:BER", ...undone] },
  {
    at: "creating the shipment is parked",
    rule: ["prepare", { kind: "refuse", reason: "SHIPMENT_CANCELLED" }],
    trace: [...checkout, "cancel:BER", ...undone],
  },
  { at: "the parcel is packed", trace: [...checkout, "prepare:BER", "PREPARING", "cancel:BER", ...undone] },
];

describe("a cancellation at rest undoes what was done, the last first", () => {
  for (const { at, rule, trace } of rests) {
    test(`while ${at}`, async () => {
      const order = slowlyPacked();
      const { orderId } = order;
      stage.place([order], rule ? [on(rule[0], rule[1], { orderId })] : []);
      await stage.rests(orderId, () => stage.rows.row(orderId).settlements.length > 0);
      assert.equal(await stage.cancel(orderId), "accepted");
      assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
      assert.deepEqual(stage.world.trace(orderId), trace);
      assert.equal(stage.world.order(orderId).failure, "CANCELLED_BY_CUSTOMER");
      const { settlements } = stage.rows.row(orderId);
      assert.deepEqual(
        [settlements[0], settlements.at(-1)].map((each) => each?.cancellationHeard),
        [false, true],
      );
    });
  }

  test("before the first episode", async () => {
    const order = anOrder();
    const { orderId } = order;
    stage.rows.place(order);
    stage.rows.happens(orderId, anEvent("cancellation", { reason: "at once" }));
    assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
    assert.equal(stage.world.order(orderId).authorized, 0n);
  });
});

describe("a cancellation in an episode", () => {
  for (const [step, trace] of [
    ["authorize", ["reserve", "authorize", ...undone]],
    ["confirm", [...checkout, "cancel:BER", ...undone]],
    ["prepare", [...checkout, "prepare:BER", "cancel:BER", ...undone]],
  ] as const) {
    test(`while "${step}" is tried again takes effect`, async () => {
      const order = slowlyPacked();
      const { orderId } = order;
      let asked: Promise<string> | undefined;
      const once = (call: { step: string; orderId: string; repetition: number }): Behaviour | undefined => {
        if (call.step !== step || call.orderId !== orderId) return undefined;
        if (call.repetition === 0) return { kind: "lost" };
        asked ??= stage.cancel(orderId);
        return undefined;
      };
      stage.place([order], [once]);
      assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
      assert.equal(await asked, "accepted");
      assert.deepEqual(stage.world.trace(orderId), trace);
      assert.deepEqual(stage.doubles(orderId), []);
    });
  }

  test("ends CANCELLED although the payment is refused meanwhile", async () => {
    const order = anOrder();
    const { orderId } = order;
    let asked: Promise<string> | undefined;
    const rule = (call: { step: string; orderId: string; repetition: number }): Behaviour | undefined => {
      if (call.step !== "confirm" || call.orderId !== orderId) return undefined;
      if (call.repetition === 0) return { kind: "unavailable" };
      asked ??= stage.cancel(orderId);
      return { kind: "refuse", reason: "HOLD_EXPIRED" };
    };
    stage.place([order], [rule]);
    await until(() => asked, "the order is being cancelled", patient);
    const accepted = await asked;
    assert.deepEqual(await stage.ends([order]), [accepted === "accepted" ? "CANCELLED" : "REJECTED"]);
  });
});

describe("a cancellation is refused", () => {
  for (const step of ["ship", "capture", "commit"]) {
    test(`from the departure of a parcel on: at rest before "${step}"`, async () => {
      const order = anOrder();
      const { orderId } = order;
      arrivesLater.add(orderId);
      stage.place([order], [on(step, away, { orderId, times: 2 })]);
      await stage.rests(orderId, () => stage.rows.row(orderId).waitsFor !== "");
      assert.equal(await stage.cancel(orderId), "refused");
      stage.world.tell(orderId, "BER", { news: "DELIVERED" });
      assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    });
  }

  test("while the carrier has not decided", async () => {
    const order = anOrder();
    const { orderId } = order;
    stage.place([order], [on("ship", { kind: "pending" }, { orderId, times: 1 })]);
    await stage.rests(orderId, () => stage.rows.state(orderId).parcels[0]?.stage === "BOOKING");
    assert.equal(await stage.cancel(orderId), "refused");
    stage.world.tell(orderId, "BER", { news: "BOOKED", trackingNumber: "T-BER" });
    stage.world.tell(orderId, "BER", { news: "DELIVERED" });
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
  });

  test("while the order is being rejected", async () => {
    const order = anOrder();
    const { orderId } = order;
    const declined = on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId });
    stage.place([order], [declined, on("void", away, { orderId, times: 2 })]);
    await stage.rests(orderId, () => stage.rows.row(orderId).waitsFor !== "");
    assert.equal(await stage.cancel(orderId), "refused");
    assert.deepEqual(await stage.ends([order]), ["REJECTED"]);
  });
});

test("64 cancellations and departures at once: each is accepted or refused, and ends as it was told", async () => {
  const orders = Array.from({ length: 64 }, slowlyPacked);
  stage.place(orders);
  for (const { orderId } of orders) {
    await stage.rests(orderId, () => stage.world.order(orderId).status === "PREPARING");
  }
  // Each parcel is packed while its order is cancelled, some a little earlier, some a little later.
  const racing = orders.map(async ({ orderId }, index) => {
    const pack = () => stage.world.tell(orderId, "BER", { news: "PACKED" });
    if (index % 2 === 0) pack();
    const asked = new Promise((resolve) => setTimeout(resolve, (index % 8) * 15)).then(() => stage.cancel(orderId));
    if (index % 2 === 1) pack();
    return await asked;
  });
  const told = await Promise.all(racing);
  const ends = await stage.ends(orders);
  assert.deepEqual(
    ends,
    told.map((answer) => (answer === "accepted" ? "CANCELLED" : "DELIVERED")),
  );
  for (const { orderId } of orders) {
    assert.deepEqual(stage.doubles(orderId), []);
    const { captured, voided, authorized } = stage.world.order(orderId);
    assert.equal(captured + voided, authorized);
  }
  assert.ok(orders.every(({ orderId }) => stage.rows.row(orderId).settlements.every(({ parked }) => !parked)));
});
