// What came back of orders: stock and money go back, once, wherever the rest of the order is.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "#platform/id.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import type { CameBack } from "../../src/workflows/order-state.ts";
import { amended, delivered } from "../stage/arrived.ts";
import { anOrder } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import { anEvent } from "../world/order-rows.ts";
import { type Behaviour, on } from "../world/rules.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open({ awayFirstMs: 50, awayMaxMs: 50 });
});
after(() => stage?.close());

const tea = { sku: "tea", locationId: "BER", quantity: 1 };
const refuse: Behaviour = { kind: "refuse", reason: "NOT_NOW" };

function back(changes: Partial<CameBack> = {}): CameBack {
  return { returnId: newId(), parts: [tea], amount: 100, ...changes };
}

/** Has something come back, and waits until orders knows that stock and money are, too. */
async function takenBack({ orderId }: SagaOrder, ...given: CameBack[]): Promise<string[]> {
  const before = stage.world.trace(orderId).length;
  for (const each of given) stage.rows.comesBack(orderId, each);
  await stage.rests(orderId, () => (stage.world.cameBack.get(orderId)?.size ?? 0) === 0);
  return stage.world.trace(orderId).slice(before);
}

describe("the label of a return", () => {
  test("is asked for, once, also where shipping is away for a while", async () => {
    const order = await delivered(stage);
    const { orderId } = order;
    const returnId = newId();
    stage.world.rules.push(on("label", { kind: "unavailable" }, { orderId, times: 2 }));
    stage.rows.wantsLabel(orderId, returnId);
    await stage.rests(orderId, () => stage.world.trace(orderId).includes(`label:${returnId}`));
    stage.rows.happens(orderId, anEvent("retry"));
    await stage.rests(orderId);
    assert.deepEqual(stage.doubles(orderId), []);
    assert.equal(stage.world.order(orderId).status, "DELIVERED");
  });

  test("is asked for the parcel that has left, when the one before it was taken back", async () => {
    const { orderId } = await amended(stage);
    const returnId = newId();
    stage.rows.wantsLabel(orderId, returnId);
    await stage.rests(orderId, () => stage.world.trace(orderId).includes(`label:${returnId}`));
    assert.deepEqual(stage.doubles(orderId), []);
  });

  test("keeps nothing that came back waiting, and waits for an operator when shipping refuses", async () => {
    const order = await delivered(stage);
    const { orderId } = order;
    const returnId = newId();
    stage.world.rules.push(on("label", refuse, { orderId }));
    stage.rows.wantsLabel(orderId, returnId);
    assert.match(await stage.parked(orderId, `label:${returnId}`), /NOT_NOW/);
    const effects = await takenBack(order, back());
    assert.equal(effects.length, 3);
    stage.decide(orderId, `label:${returnId}`, true);
    await stage.rests(orderId);
    assert.equal(stage.rows.row(orderId).parked, undefined);
  });
});

describe("what came back", () => {
  test("goes back on the shelf, is paid back, and is done: the order stays as it is", async () => {
    const order = await delivered(stage);
    const one = back({ amount: 120 });
    const effects = await takenBack(order, one);
    const { returnId } = one;
    assert.deepEqual(effects.toSorted(), [`complete:${returnId}`, `refund:${returnId}`, `restock:${returnId}`]);
    assert.equal(effects.at(-1), `complete:${returnId}`);
    const { status, refunded } = stage.world.order(order.orderId);
    assert.deepEqual([status, refunded], ["DELIVERED", 120n]);
    assert.deepEqual(stage.doubles(order.orderId), []);
    assert.equal(stage.rows.state(order.orderId).repaid, undefined);
  });

  test("as scrap goes nowhere, and of no worth is not paid", async () => {
    const order = await delivered(stage);
    const [scrap, worthless] = [back({ parts: [] }), back({ amount: 0 })];
    const effects = await takenBack(order, scrap, worthless);
    assert.deepEqual(
      effects.toSorted(),
      [
        `complete:${scrap.returnId}`,
        `complete:${worthless.returnId}`,
        `refund:${scrap.returnId}`,
        `restock:${worthless.returnId}`,
      ].toSorted(),
    );
  });

  test("of many orders in the same moment is one call of each kind", async () => {
    const orders = await Promise.all([delivered(stage), delivered(stage), delivered(stage)]);
    const before = stage.world.batches.length;
    for (const { orderId } of orders) stage.rows.comesBack(orderId, back());
    for (const { orderId } of orders) await stage.rests(orderId, () => stage.world.cameBack.get(orderId)?.size === 0);
    const sizes = (step: string) => stage.world.batches.slice(before).filter((batch) => batch.step === step);
    for (const step of ["restock", "refund", "complete"]) {
      assert.deepEqual(
        sizes(step).map(({ size }) => size),
        [3],
        step,
      );
    }
  });

  test("of an order of which a parcel is still under way does not wait for it, nor it for that", async () => {
    const order = anOrder();
    const { orderId } = order;
    stage.world.allocate = (_, lines) => lines.map((line, index) => ({ ...line, locationId: index ? "HAM" : "BER" }));
    stage.world.arrives = (_, locationId) => (locationId === "HAM" ? undefined : "DELIVERED");
    stage.place([order]);
    await stage.rests(orderId, () => stage.world.order(orderId).status === "SHIPPED");
    const effects = await takenBack(order, back());
    assert.equal(effects.length, 3);
    assert.equal(stage.world.order(orderId).status, "SHIPPED");
    stage.rows.happens(orderId, anEvent("shipment", { locationId: "HAM", news: "DELIVERED" }));
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assert.deepEqual(stage.doubles(orderId), []);
    stage.world.arrives = () => "DELIVERED";
    stage.world.allocate = (_, lines) => lines.map((line) => ({ ...line, locationId: "BER" }));
  });

  for (const [what, kind] of [
    ["is away", "unavailable"],
    ["has not decided", "pending"],
  ] as const) {
    test(`is paid back later when who pays ${what}, and nothing happens twice`, async () => {
      const order = await delivered(stage);
      stage.world.rules.push(on("refund", { kind }, { orderId: order.orderId, times: 4 }));
      const effects = await takenBack(order, back());
      assert.equal(effects.length, 3, effects.join());
      assert.deepEqual(stage.doubles(order.orderId), []);
    });
  }

  for (const { step, parks, other } of [
    { step: "refund", parks: "repay", other: "restock" },
    { step: "restock", parks: "restock", other: "refund" },
  ]) {
    for (const resolved of [true, false]) {
      test(`waits for an operator when the ${step} is refused, who ${resolved ? "resolves" : "retries"} it; the rest is done`, async () => {
        const order = await delivered(stage);
        const { orderId } = order;
        const one = back();
        stage.world.rules.push(on(step, refuse, { orderId, times: 1 }));
        stage.rows.comesBack(orderId, one);
        assert.match(await stage.parked(orderId, `${parks}:${one.returnId}`), /NOT_NOW/);
        assert.equal(stage.world.trace(orderId).at(-1), `${other}:${one.returnId}`);
        const second = back();
        stage.rows.comesBack(orderId, second);
        await stage.rests(orderId, () => stage.world.cameBack.get(orderId)?.size === 1);
        assert.equal(stage.world.trace(orderId).at(-1), `complete:${second.returnId}`, "another one does not wait");
        stage.decide(orderId, `${parks}:${one.returnId}`, resolved);
        await stage.rests(orderId, () => stage.world.cameBack.get(orderId)?.size === 0);
        const own = stage.world.trace(orderId).filter((effect) => effect.endsWith(one.returnId));
        const expected = [other, ...(resolved ? [] : [step]), "complete"].map((each) => `${each}:${one.returnId}`);
        assert.deepEqual(own, expected);
        assert.deepEqual(stage.doubles(orderId), []);
      });
    }
  }

  test("that is paid back is not paid again where orders could not be told for long", async () => {
    const order = await delivered(stage);
    const { orderId } = order;
    const one = back();
    stage.world.rules.push(on("complete", refuse, { orderId, times: 1 }));
    stage.rows.comesBack(orderId, one);
    await stage.parked(orderId, `complete:${one.returnId}`);
    assert.deepEqual(stage.rows.state(orderId).repaid, [one.returnId]);
    const refunds = stage.world.batches.filter(({ step }) => step === "refund").length;
    stage.decide(orderId, `complete:${one.returnId}`, false);
    await stage.rests(orderId, () => stage.world.cameBack.get(orderId)?.size === 0);
    assert.equal(stage.world.batches.filter(({ step }) => step === "refund").length, refunds);
    assert.equal(stage.rows.state(orderId).repaid, undefined);
  });

  test("and was granted waits until a second person has approved it, without haste, and is named with who granted it", async () => {
    const order = await delivered(stage);
    const { orderId } = order;
    stage.world.approvals.set(orderId, "waiting");
    stage.rows.comesBack(orderId, back({ parts: [], grantedBy: "somebody" }));
    await stage.rests(orderId, () => stage.rows.row(orderId).waitsFor === "approval");
    const { retryAfter } = stage.rows.row(orderId).settlements.at(-1) ?? {};
    assert.equal(retryAfter?.nanos, 200_000_000);
    stage.world.approvals.set(orderId, "approved");
    await stage.rests(orderId, () => stage.world.cameBack.get(orderId)?.size === 0);
    assert.deepEqual(stage.doubles(orderId), []);
    assert.equal(stage.world.grantedBy.get(orderId), "somebody");
    assert.equal(stage.world.order(orderId).refunded, 100n);
  });

  test("and was granted comes to nothing when nobody approves it: no operator is asked", async () => {
    const order = await delivered(stage);
    const { orderId } = order;
    const one = back({ parts: [], grantedBy: "somebody" });
    stage.world.rules.push(on("refund", { kind: "refuse", reason: "REFUND_NOT_APPROVED" }, { orderId }));
    const effects = await takenBack(order, one);
    assert.deepEqual(effects, [`reject:${one.returnId}`]);
    assert.equal(stage.rows.row(orderId).parked, undefined);
  });

  for (const step of ["restock", "refund", "complete", "settle"]) {
    for (const when of ["before", "after"] as const) {
      test(`and whose workflow is terminated ${when} "${step}" is taken back once`, async () => {
        const order = await delivered(stage);
        const { orderId } = order;
        let terminated = 0;
        stage.world.onCall = async (called, at) => {
          if (called !== step || at !== when || terminated > 0) return;
          terminated += 1;
          await stage.loses(orderId);
        };
        const effects = await takenBack(order, back());
        stage.world.onCall = () => {};
        assert.equal(terminated, 1);
        assert.equal(effects.length, 3, effects.join());
        assert.deepEqual(stage.doubles(orderId), []);
      });
    }
  }
});

describe("what came back of an order that was amended to cost more", () => {
  const refunds = (effects: string[]) => effects.filter((effect) => effect.startsWith("refund")).toSorted();

  test("is paid back from the payment that was made first, then from the next", async () => {
    const order = await amended(stage);
    const [one, two] = [back({ amount: 2_000 }), back({ amount: 2_000 })];
    assert.deepEqual(refunds(await takenBack(order, one)), [`refund:${one.returnId}`]);
    assert.deepEqual(refunds(await takenBack(order, two)), [
      `refund:${two.returnId}`,
      `refund:${two.returnId}:payment-1`,
    ]);
    const { orderId } = order;
    assert.deepEqual([stage.world.order(orderId).refunded, stage.world.payment(orderId).refunded], [4_000n, 2_500n]);
    const { done } = stage.rows.state(orderId).repayments ?? {};
    assert.deepEqual(done, [
      { payment: 0, amount: 2_500 },
      { payment: 1, amount: 1_500 },
    ]);
    assert.deepEqual(stage.doubles(orderId), []);
  });

  test("is paid back as it was begun, whatever else comes back before it is through", async () => {
    const order = await amended(stage);
    const { orderId } = order;
    const one = back({ amount: 3_000 });
    // Under the request id of the first time alone.
    stage.world.rules.push(({ id }) => (id.endsWith(`refund:${one.returnId}:payment-1`) ? refuse : undefined));
    stage.rows.comesBack(orderId, one);
    await stage.parked(orderId, `repay:${one.returnId}/1`);
    const two = back({ amount: 1_000 });
    stage.rows.comesBack(orderId, two);
    await stage.rests(orderId, () => stage.world.cameBack.get(orderId)?.size === 1);
    stage.decide(orderId, `repay:${one.returnId}/1`, false);
    await stage.rests(orderId, () => stage.world.cameBack.get(orderId)?.size === 0);
    assert.deepEqual([stage.world.order(orderId).refunded, stage.world.payment(orderId).refunded], [4_000n, 2_500n]);
    assert.deepEqual(stage.doubles(orderId), []);
  });

  test("waits for an operator when a part is granted and nobody approves the rest", async () => {
    const order = await amended(stage);
    const { orderId } = order;
    const granted = back({ parts: [], amount: 3_000, grantedBy: "carla" });
    const denied: Behaviour = { kind: "refuse", reason: "REFUND_NOT_APPROVED" };
    stage.world.rules.push(({ id }) => (id.endsWith(`refund:${granted.returnId}:payment-1`) ? denied : undefined));
    stage.rows.comesBack(orderId, granted);
    assert.match(await stage.parked(orderId, `repay:${granted.returnId}/1`), /REFUND_NOT_APPROVED/);
    assert.equal(stage.world.order(orderId).refunded, 2_500n);
    stage.decide(orderId, `repay:${granted.returnId}/1`, true);
    await stage.rests(orderId, () => stage.world.cameBack.get(orderId)?.size === 0);
    assert.equal(stage.world.order(orderId).refunded, 2_500n);
    assert.deepEqual(stage.doubles(orderId), []);
  });
});
