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
const fulfilment = ["prepare:BER", "PREPARING", "ship:BER", "capture:BER", "commit:BER", "SHIPPED", "DELIVERED"];
const delivered = [...checkout, ...fulfilment];
const away: Behaviour = { kind: "unavailable" };

const isMove = (effect: string) => effect === effect.toUpperCase();

/** All that happened to a delivered order, and its statuses, each in order: a news may come before the status before it. */
function assertDelivered(orderId: string): void {
  const trace = stage.world.trace(orderId);
  assert.deepEqual(trace.filter(isMove), delivered.filter(isMove));
  assert.deepEqual(
    trace.filter((effect) => !isMove(effect)),
    delivered.filter((effect) => !isMove(effect)),
  );
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

  test("forgets the card when the payment is decided, and its address when its shipments are created", async () => {
    const order = anOrder();
    await stage.run([order]);
    const [first] = stage.rows.row(order.orderId).settlements;
    assert.equal(first?.needsCard, false);
    assert.ok(!first?.saga.includes("Street 1"), first?.saga);
  });

  test("packs what was confirmed, not what was reserved", async () => {
    const order = anOrder();
    const { orderId } = order;
    // The reservation was of all in BER. All of it has expired; the tea was there again.
    const [tea, cup] = order.lines.map(({ sku, quantity }) => ({ sku, quantity }));
    assert.ok(tea && cup);
    stage.world.confirms.set(orderId, [
      { ...tea, locationId: "BER" },
      { ...cup, locationId: "HAM" },
    ]);
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    const prepared = stage.world.trace(orderId).filter((effect) => effect.startsWith("prepare"));
    assert.deepEqual(prepared.sort(), ["prepare:BER", "prepare:HAM"]);
    assert.equal(stage.world.order(orderId).captured, 2_500n);
    assert.deepEqual(stage.world.order(orderId).confirmedAs, { BER: 2_000n, HAM: 500n });
  });
});

test("an order that is confirmed from one other location leaves from there alone", async () => {
  const order = anOrder();
  const { orderId, lines } = order;
  stage.world.confirms.set(
    orderId,
    lines.map(({ sku, quantity }) => ({ sku, quantity, locationId: "HAM" })),
  );
  assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
  const left = stage.world.trace(orderId).filter((effect) => effect.includes(":"));
  assert.deepEqual(left, ["prepare:HAM", "ship:HAM", "capture:HAM", "commit:HAM"]);
  assert.deepEqual(stage.world.order(orderId).confirmedAs, { HAM: 2_500n });
});

const refusals: { step: string; reason: string; stage: string; trace: string[]; failure?: string }[] = [
  { step: "reserve", reason: "OUT_OF_STOCK", stage: "REJECTED", trace: ["release", "REJECTED"] },
  { step: "reserve", reason: "TOO_MANY_LOCATIONS", stage: "REJECTED", trace: ["release", "REJECTED"] },
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
    step: "ship",
    reason: "CARRIER_REFUSED",
    stage: "FAILED",
    failure: "SHIPPING_FAILED",
    trace: [...checkout, "prepare:BER", "PREPARING", "void:BER", "release:BER", "FAILED"],
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

const passing: { name: string; behaviour: Behaviour; times: number }[] = [
  { name: "a service that is away for a moment", behaviour: away, times: 1 },
  { name: "a service that is away for several episodes", behaviour: away, times: 7 },
  { name: "an answer that is lost", behaviour: { kind: "lost" }, times: 3 },
];
const forwardSteps = ["reserve", "authorize", "confirm", "transition", "prepare", "ship", "capture", "commit"];

for (const { name, behaviour, times } of passing) {
  describe(name, { concurrency: true }, () => {
    for (const step of [...forwardSteps, "settle"]) {
      test(`at "${step}" has no effect twice, changes nothing, and needs nobody`, async () => {
        const order = anOrder();
        const { orderId } = order;
        const rule = on(step, behaviour, { orderId, times });
        assert.deepEqual(await stage.run([order], [rule]), ["DELIVERED"]);
        assertDelivered(orderId);
        assert.deepEqual(stage.doubles(orderId), []);
        assert.ok(stage.rows.row(orderId).settlements.every(({ parked }) => !parked));
      });
    }

    for (const step of ["void", "release"]) {
      test(`at the compensation "${step}" has no effect twice`, async () => {
        const order = anOrder();
        const { orderId } = order;
        const rules = [
          on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId }),
          on(step, behaviour, { orderId, times }),
        ];
        assert.deepEqual(await stage.run([order], rules), ["REJECTED"]);
        assert.deepEqual(stage.world.trace(orderId), ["reserve", "void", "release", "REJECTED"]);
        assert.equal(stage.world.order(orderId).failure, "PAYMENT_DECLINED");
      });
    }
  });
}

describe("the outside world that has not decided", { concurrency: true }, () => {
  for (const [step, whom] of [
    ["authorize", "gateway"],
    ["capture", "gateway"],
  ] as const) {
    test(`about "${step}" is asked again in a later episode`, async () => {
      const order = anOrder();
      const { orderId } = order;
      const rule = on(step, { kind: "pending" }, { orderId, times: 3 });
      assert.deepEqual(await stage.run([order], [rule]), ["DELIVERED"]);
      assertDelivered(orderId);
      const waited = stage.rows.row(orderId).settlements.filter(({ waitsFor }) => waitsFor === whom);
      assert.equal(waited.length, 3);
    });
  }
});

describe("a checkout that takes too long", { concurrency: true }, () => {
  const longAgo = () => Date.now() - 61_000;

  test("is given up: what it may have done is undone", async () => {
    const order = anOrder();
    const { orderId } = order;
    assert.deepEqual(await stage.run([order], [], longAgo()), ["REJECTED"]);
    assert.deepEqual(stage.world.trace(orderId), ["void", "release", "REJECTED"]);
    assert.equal(stage.world.order(orderId).failure, "SERVICE_UNAVAILABLE");
  });

  test("is carried no later than its deadline", async () => {
    const order = anOrder();
    const { orderId } = order;
    const placed = Date.now() - 59_000;
    const began = Date.now();
    assert.deepEqual(await stage.run([order], [on("authorize", away, { orderId })], placed), ["REJECTED"]);
    assert.ok(Date.now() - began < 5_000);
    assert.deepEqual(stage.world.trace(orderId), ["reserve", "void", "release", "REJECTED"]);
  });

  test("is gone through to its end when a workflow that was lost had confirmed the order", async () => {
    const order = anOrder();
    const { orderId } = order;
    stage.world.move(orderId, "CONFIRMED", "");
    assert.deepEqual(await stage.run([order], [], longAgo()), ["DELIVERED"]);
  });
});

test("somebody who is away is tried for no longer than it takes to come back, and ever less often", async () => {
  const order = anOrder();
  const { orderId } = order;
  stage.place([order], [on("capture", away, { orderId, times: 24 })]);
  await stage.ends([order]);
  const pauses = stage.rows
    .row(orderId)
    .settlements.filter(({ waitsFor }) => waitsFor === "payments")
    .map(({ retryAfter }) => Number(retryAfter?.nanos ?? 0) / 1e6);
  assert.ok(pauses.length >= 8);
  for (const [index, pause] of pauses.entries()) {
    const middle = Math.min(100, 20 * 2 ** index);
    assert.ok(pause >= middle / 2 - 1 && pause <= middle * 1.5 + 1, `${pauses}`);
  }
});
