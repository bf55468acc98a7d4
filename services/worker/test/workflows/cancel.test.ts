import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { cancelOrder, cancelOrderSignal } from "../../src/workflows/legacy/messages.ts";
import { anOrder } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import { type Behaviour, on } from "../world/rules.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage?.close());

const checkout = ["reserve", "authorize", "confirm", "CONFIRMED"];
const away: Behaviour = { kind: "unavailable" };
const pending: Behaviour = { kind: "pending" };

const stages: { at: [step: string, status: string]; behaviour: Behaviour; trace: string[] }[] = [
  { at: ["reserve", "PARKED"], behaviour: away, trace: ["void", "release", "CANCELLED"] },
  { at: ["authorize", "PARKED"], behaviour: away, trace: ["reserve", "void", "release", "CANCELLED"] },
  { at: ["authorize", "RUNNING"], behaviour: pending, trace: ["reserve", "void", "release", "CANCELLED"] },
  {
    at: ["confirm", "PARKED"],
    behaviour: away,
    trace: ["reserve", "authorize", "void", "release", "CANCELLED"],
  },
  {
    at: ["prepare:BER", "RUNNING"],
    behaviour: pending,
    trace: [...checkout, "PREPARING", "prepare:BER", "cancel:BER", "void", "release", "CANCELLED"],
  },
  {
    at: ["prepare:BER", "PARKED"],
    behaviour: away,
    trace: [...checkout, "PREPARING", "cancel:BER", "void", "release", "CANCELLED"],
  },
];

describe("a cancellation undoes what was done, the last first", { concurrency: true }, () => {
  for (const { at, behaviour, trace } of stages) {
    test(`while ${at.join(" is ")}`, async () => {
      const order = anOrder();
      const { orderId } = order;
      const step = at[0].split(":")[0] ?? "";
      const rules = [on(step, behaviour, { orderId }), on("look", pending, { orderId })];
      const handle = await stage.start([order], rules, { patienceMs: 500 });
      await stage.until(handle, orderId, at);
      await handle.executeUpdate(cancelOrder, { args: [{ orderId, reason: "changed my mind" }] });
      assert.deepEqual((await handle.result()).orders, [{ orderId, stage: "CANCELLED" }]);
      assert.deepEqual(stage.world.trace(orderId), trace);
      assert.equal(stage.world.order(orderId).failure, "CANCELLED_BY_CUSTOMER");
    });
  }

  test("that comes while the pivot runs takes effect after it", async () => {
    const order = anOrder();
    const { orderId } = order;
    let asked: Promise<unknown> | undefined;
    const handle = await stage.start(
      [order],
      [
        on("look", pending, { orderId }),
        (call) => {
          if (call.step === "confirm" && call.orderId === orderId) {
            asked ??= handle.executeUpdate(cancelOrder, { args: [{ orderId, reason: "too late?" }] });
          }
          return undefined;
        },
        on("prepare", pending, { orderId }),
      ],
    );
    assert.deepEqual((await handle.result()).orders, [{ orderId, stage: "CANCELLED" }]);
    await asked;
    assert.deepEqual(stage.world.trace(orderId).slice(0, 4), checkout);
    assert.deepEqual(stage.world.trace(orderId).slice(-3), ["void", "release", "CANCELLED"]);
  });

  test("by signal", async () => {
    const order = anOrder();
    const { orderId } = order;
    const handle = await stage.start([order], [on("authorize", pending, { orderId })]);
    await stage.until(handle, orderId, ["authorize", "RUNNING"]);
    await handle.signal(cancelOrderSignal, { orderId, reason: "by signal" });
    assert.deepEqual((await handle.result()).orders, [{ orderId, stage: "CANCELLED" }]);
  });

  test("of one order leaves the others of its batch alone", async () => {
    const orders = [anOrder(), anOrder(), anOrder()];
    const orderId = orders[1]?.orderId ?? "";
    const handle = await stage.start(orders, [on("authorize", pending, { orderId })]);
    await stage.until(handle, orderId, ["authorize", "RUNNING"]);
    await handle.executeUpdate(cancelOrder, { args: [{ orderId, reason: "only this one" }] });
    const { orders: ended } = await handle.result();
    assert.deepEqual(
      ended.map((order) => order.stage),
      ["DELIVERED", "CANCELLED", "DELIVERED"],
    );
  });

  test("of the workflow cancels what has not left", async () => {
    const orders = [anOrder(), anOrder()];
    const orderId = orders[0]?.orderId ?? "";
    const left = orders[1]?.orderId ?? "";
    const handle = await stage.start(orders, [on("authorize", pending, { orderId })]);
    await stage.until(handle, left, ["ship:BER", "DONE"]);
    await handle.cancel();
    const { orders: ended } = await handle.result();
    assert.deepEqual(
      ended.map((order) => order.stage),
      ["CANCELLED", "DELIVERED"],
    );
  });
});

describe("a cancellation is refused", { concurrency: true }, () => {
  for (const [step, behaviour] of [
    ["ship", pending],
    ["capture", pending],
    ["look", pending],
  ] as const) {
    test(`from the departure of a parcel on: during "${step}"`, async () => {
      const order = anOrder();
      const { orderId } = order;
      const handle = await stage.start([order], [on(step, behaviour, { orderId })]);
      const reached: [string, string] = step === "look" ? ["shipped", "DONE"] : [`${step}:BER`, "RUNNING"];
      await stage.until(handle, orderId, reached);
      const refused = handle.executeUpdate(cancelOrder, { args: [{ orderId, reason: "too late" }] });
      await assert.rejects(refused, (error: Error) => /a parcel has left/.test(String(error.cause)));
      await handle.terminate();
    });
  }

  test("while the order is being rejected", async () => {
    const order = anOrder();
    const { orderId } = order;
    const rules = [
      on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId }),
      on("void", away, { orderId }),
    ];
    const handle = await stage.start([order], rules);
    await stage.until(handle, orderId, ["void", "RUNNING"]);
    const refused = handle.executeUpdate(cancelOrder, { args: [{ orderId, reason: "too late" }] });
    await assert.rejects(refused, (error: Error) => /being undone/.test(String(error.cause)));
    await handle.terminate();
  });
});
