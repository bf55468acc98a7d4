import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anOrder } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import { type Behaviour, on } from "../world/rules.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage?.close());

const checkout = ["reserve", "authorize", "confirm", "CONFIRMED"];
const fulfilment = ["PREPARING", "prepare:BER", "ship:BER", "capture:BER", "commit:BER", "SHIPPED", "DELIVERED"];
const delivered = [...checkout, ...fulfilment];

/** The forward steps of an order with one parcel, as the fakes name them. */
const forwardSteps = [...["reserve", "authorize", "confirm", "transition", "prepare", "ship", "capture", "commit"]];

function assertOneEffectEach(orderId: string): void {
  const ids = stage.world.effects.filter((effect) => effect.orderId === orderId).map(({ id }) => id);
  assert.deepEqual(ids, [...new Set(ids)]);
}

describe("an order", { concurrency: true }, () => {
  test("goes all the way", async () => {
    const order = anOrder();
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    assert.deepEqual(stage.world.trace(order.orderId), delivered);
    assert.equal(stage.world.order(order.orderId).captured, 2_500n);
  });

  test("that costs nothing moves no money", async () => {
    const lines = [{ sku: "sample", quantity: 1, unitPrice: 0 }];
    const order = anOrder({ lines, total: { currency: "EUR", amount: 0 } });
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    const money = ["authorize", "capture:BER"];
    assert.deepEqual(
      stage.world.trace(order.orderId),
      delivered.filter((effect) => !money.includes(effect)),
    );
  });
});

const refusals: { step: string; reason: string; stage: string; trace: string[]; failure?: string }[] = [
  { step: "reserve", reason: "OUT_OF_STOCK", stage: "REJECTED", trace: ["release", "REJECTED"] },
  {
    step: "authorize",
    reason: "PAYMENT_DECLINED",
    stage: "REJECTED",
    trace: ["reserve", "void", "release", "REJECTED"],
  },
  {
    step: "confirm",
    reason: "HOLD_EXPIRED",
    stage: "REJECTED",
    trace: ["reserve", "authorize", "void", "release", "REJECTED"],
  },
  {
    step: "prepare",
    reason: "PACKING_FAILED",
    stage: "FAILED",
    failure: "SHIPPING_FAILED",
    trace: [...checkout, "PREPARING", "cancel:BER", "void:BER", "release:BER", "FAILED"],
  },
  {
    step: "ship",
    reason: "CARRIER_REFUSED",
    stage: "FAILED",
    failure: "SHIPPING_FAILED",
    trace: [...checkout, "PREPARING", "prepare:BER", "cancel:BER", "void:BER", "release:BER", "FAILED"],
  },
];

describe("a refusal", { concurrency: true }, () => {
  for (const expected of refusals) {
    test(`of "${expected.step}" undoes what came before, the last first`, async () => {
      const order = anOrder();
      const { orderId } = order;
      const rule = on(expected.step, { kind: "refuse", reason: expected.reason }, { orderId });
      assert.deepEqual(await stage.run([order], [rule]), [expected.stage]);
      assert.deepEqual(stage.world.trace(orderId), expected.trace);
      assert.equal(stage.world.order(orderId).failure, expected.failure ?? expected.reason);
    });
  }

  test("tells the customer of a card without cover", async () => {
    const order = anOrder();
    const metadata = { decline_code: "insufficient_funds" };
    const { orderId } = order;
    const rule = on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED", metadata }, { orderId });
    await stage.run([order], [rule]);
    assert.equal(stage.world.order(orderId).failure, "INSUFFICIENT_FUNDS");
  });
});

const passing: { name: string; behaviour: Behaviour }[] = [
  { name: "a service that is away for a moment", behaviour: { kind: "unavailable" } },
  { name: "an answer that is lost", behaviour: { kind: "lost" } },
];

for (const { name, behaviour } of passing) {
  describe(name, { concurrency: true }, () => {
    for (const step of forwardSteps) {
      test(`at "${step}" has no effect twice and changes nothing`, async () => {
        const order = anOrder();
        const rule = on(step, behaviour, { orderId: order.orderId, times: 2 });
        assert.deepEqual(await stage.run([order], [rule]), ["DELIVERED"]);
        assert.deepEqual(stage.world.trace(order.orderId), delivered);
        assertOneEffectEach(order.orderId);
      });
    }

    for (const step of ["void", "release"]) {
      test(`at the compensation "${step}" has no effect twice`, async () => {
        const order = anOrder();
        const { orderId } = order;
        const rules = [
          on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId }),
          on(step, behaviour, { orderId, times: 4 }),
        ];
        assert.deepEqual(await stage.run([order], rules), ["REJECTED"]);
        assert.deepEqual(stage.world.trace(orderId), ["reserve", "void", "release", "REJECTED"]);
        assertOneEffectEach(orderId);
      });
    }
  });
}

describe("the outside world that has not decided", { concurrency: true }, () => {
  for (const step of ["authorize", "prepare", "ship", "capture"]) {
    test(`about "${step}" is asked again`, async () => {
      const order = anOrder();
      const rule = on(step, { kind: "pending" }, { orderId: order.orderId, times: 3 });
      assert.deepEqual(await stage.run([order], [rule]), ["DELIVERED"]);
      assert.deepEqual(stage.world.trace(order.orderId), delivered);
    });
  }
});
