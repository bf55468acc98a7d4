// What is sent for what came back: what that is worth pays it, once, and goes back to the card when nothing is sent.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import type { CameBack } from "../../src/workflows/order-state.ts";
import { amended, delivered } from "../stage/arrived.ts";
import { anOrder } from "../stage/harness.ts";
import { patient, Stage } from "../stage/stage.ts";
import { anEvent } from "../world/order-rows.ts";
import { type Behaviour, on } from "../world/rules.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open({ awayFirstMs: 50, awayMaxMs: 50 });
});
after(() => stage?.close());

const refuse = (reason: string): Behaviour => ({ kind: "refuse", reason });

function back(amount: number): CameBack {
  return { returnId: newId(), parts: [{ sku: "tea", locationId: "BER", quantity: 1 }], amount };
}

/** An order of one article that costs so much. */
function costing(amount: number): SagaOrder {
  const lines = [{ sku: "pot", quantity: 1, unitPrice: amount }];
  return anOrder({ lines, total: { currency: "EUR", amount } });
}

interface Exchanged {
  readonly order: SagaOrder;
  readonly wanted: SagaOrder;
  readonly came: CameBack;
}

/** Has something of an order come back, for which another one is wanted. */
async function exchanged(worth: number, cost: number, given?: SagaOrder): Promise<Exchanged> {
  const order = given ?? (await delivered(stage));
  const [came, wanted] = [back(worth), costing(cost)];
  stage.rows.isExchanged(order.orderId, came, wanted);
  return { order, wanted, came };
}

/** Waits until orders knows that stock and money are back. */
async function isDone({ order: { orderId } }: Exchanged): Promise<void> {
  await stage.rests(orderId, () => stage.world.cameBack.get(orderId)?.size === 0);
}

/** Waits until the order that is sent for it is there, and has come to its end. */
async function endOf({ wanted }: Exchanged): Promise<string> {
  await until(() => stage.rows.rows.has(wanted.orderId), "the order is placed", patient);
  const [end = ""] = await stage.ends([wanted]);
  return end;
}

/** What of a return has happened to its order, without the return's id. */
function traceOf({ order, came }: Exchanged): string[] {
  const own = stage.world.trace(order.orderId).filter((effect) => effect.includes(came.returnId));
  return own.map((effect) => effect.replace(`:${came.returnId}`, ""));
}

/** Nothing was done twice, and of no payment more is paid back, or pays other orders, than it has captured. */
function isSound({ order, wanted }: Exchanged): void {
  for (const { orderId } of [order, wanted]) assert.deepEqual(stage.doubles(orderId), []);
  for (const [id, { captured, voided, authorized, refunded, credited }] of stage.world.payments) {
    assert.ok(captured + voided <= authorized && refunded + credited <= captured, id);
    const credits = [...stage.world.payments.values()].filter(({ sourceId }) => sourceId === id);
    const sum = credits.reduce((all, credit) => all + credit.authorized, 0n);
    assert.equal(sum, credited, id);
  }
}

/** What went back to the cards of an order for a return: refunds, and what its credits gave back. */
function paidBack({ order, wanted }: Exchanged): bigint {
  const credits = [...stage.world.payments.values()].filter(({ sourceId }) => sourceId !== "");
  const own = credits.filter(({ orderId }) => orderId === wanted.orderId);
  return own.reduce((sum, { voided, refunded }) => sum + voided + refunded, stage.world.order(order.orderId).refunded);
}

describe("what is sent for what came back", () => {
  const prices = [
    { what: "less", worth: 1_500, cost: 1_000, refunded: 500n, card: 0n },
    { what: "as much", worth: 1_000, cost: 1_000, refunded: 0n, card: 0n },
    { what: "more", worth: 1_000, cost: 1_750, refunded: 0n, card: 750n },
  ];
  for (const { what, worth, cost, refunded, card } of prices) {
    test(`and costs ${what} is paid by it, and the difference by whoever owes it`, async () => {
      const given = await exchanged(worth, cost);
      const { order, wanted } = given;
      await isDone(given);
      assert.equal(await endOf(given), "DELIVERED");
      const { authorized, captured, voided } = stage.world.order(wanted.orderId);
      assert.deepEqual([authorized, captured, voided], [BigInt(cost), BigInt(cost), 0n]);
      assert.equal(stage.world.order(order.orderId).refunded, refunded);
      assert.equal(stage.world.payment(wanted.orderId).captured, card);
      const expected = ["credit", "made", ...(refunded > 0n ? ["refund"] : []), "complete"];
      assert.deepEqual(
        traceOf(given).filter((effect) => effect !== "restock"),
        expected,
      );
      isSound(given);
    });
  }

  test("and is worth nothing any more is paid by its card alone", async () => {
    const given = await exchanged(0, 1_000);
    await isDone(given);
    assert.equal(await endOf(given), "DELIVERED");
    assert.equal(stage.world.payment(given.wanted.orderId).captured, 1_000n);
    isSound(given);
  });

  test("of an order with several payments is paid by as many credits, and so is what comes back of that", async () => {
    const given = await exchanged(4_000, 3_500, await amended(stage));
    const { order, wanted } = given;
    await isDone(given);
    assert.equal(await endOf(given), "DELIVERED");
    const credits = [...stage.world.payments.values()].filter(({ orderId, sourceId }) => {
      return orderId === wanted.orderId && sourceId !== "";
    });
    assert.deepEqual(
      credits.map(({ captured }) => captured),
      [2_500n, 1_000n],
    );
    assert.equal(stage.world.order(order.orderId).refunded, 500n);
    const again = back(3_000);
    stage.rows.comesBack(wanted.orderId, again);
    await stage.rests(wanted.orderId, () => stage.world.cameBack.get(wanted.orderId)?.size === 0);
    assert.deepEqual(
      credits.map(({ refunded }) => refunded),
      [2_500n, 500n],
    );
    isSound(given);
  });

  test("may be exchanged itself", async () => {
    const first = await exchanged(1_500, 1_000);
    await isDone(first);
    assert.equal(await endOf(first), "DELIVERED");
    const second = await exchanged(1_000, 800, first.wanted);
    await isDone(second);
    assert.equal(await endOf(second), "DELIVERED");
    assert.equal(stage.world.order(first.wanted.orderId).refunded, 200n);
    assert.equal(paidBack(first), 700n);
    isSound(first);
    isSound(second);
  });

  test("and is amended to cost less gives back what a card would pay first, then what it is credited", async () => {
    const order = await delivered(stage);
    const [came, wanted] = [back(1_000), costing(1_500)];
    stage.world.packs = (id) => (id === wanted.orderId ? undefined : "PACKED");
    stage.rows.isExchanged(order.orderId, came, wanted);
    const given = { order, wanted, came };
    await isDone(given);
    await until(() => stage.world.order(wanted.orderId).status === "PREPARING", "it is packed", patient);
    const lines = [{ sku: "pot", quantity: 1, unitPrice: 800 }];
    stage.rows.amend(wanted.orderId, { lines, total: { currency: "EUR", amount: 800 } });
    await stage.rests(wanted.orderId, () => stage.rows.row(wanted.orderId).amendments.every(({ isOver }) => isOver));
    stage.world.tell(wanted.orderId, "BER", { news: "PACKED" });
    assert.equal(await endOf(given), "DELIVERED");
    stage.world.packs = () => "PACKED";
    assert.deepEqual([stage.world.payment(wanted.orderId).voided, paidBack(given)], [500n, 200n]);
    isSound(given);
  });

  const refusals = [
    { step: "reserve", reason: "OUT_OF_STOCK", end: "REJECTED" },
    { step: "authorize", reason: "PAYMENT_DECLINED", end: "REJECTED" },
    { step: "ship", reason: "CARRIER_REFUSED", end: "FAILED" },
  ];
  for (const { step, reason, end } of refusals) {
    test(`and ends ${end} with ${reason} is paid back: all that it is worth, once`, async () => {
      const order = await delivered(stage);
      const [came, wanted] = [back(1_000), costing(1_200)];
      stage.world.rules.push(on(step, refuse(reason), { orderId: wanted.orderId }));
      stage.rows.isExchanged(order.orderId, came, wanted);
      const given = { order, wanted, came };
      await isDone(given);
      assert.equal(await endOf(given), end);
      assert.equal(paidBack(given), 1_000n);
      const { authorized, voided, captured } = stage.world.order(wanted.orderId);
      assert.deepEqual([captured, voided], [0n, authorized]);
      isSound(given);
    });
  }

  test("and whose credit the gateway does not pay back waits for an operator", async () => {
    const order = await delivered(stage);
    const [came, wanted] = [back(1_000), costing(1_000)];
    stage.world.rules.push(on("reserve", refuse("OUT_OF_STOCK"), { orderId: wanted.orderId }));
    stage.world.rules.push(on("void", refuse("PAYMENT_DECLINED"), { orderId: wanted.orderId, times: 1 }));
    stage.rows.isExchanged(order.orderId, came, wanted);
    const given = { order, wanted, came };
    await isDone(given);
    const step = "void~1000000";
    assert.match(await stage.parked(wanted.orderId, step), /PAYMENT_DECLINED/);
    stage.decide(wanted.orderId, step, false);
    assert.equal(await endOf(given), "REJECTED");
    assert.equal(paidBack(given), 1_000n);
    isSound(given);
  });
});

describe("what came back for which nothing can be sent", () => {
  test("because nothing can be credited is paid back as ever", async () => {
    const order = await delivered(stage);
    const [came, wanted] = [back(1_500), costing(1_000)];
    stage.world.rules.push(on("credit", refuse("PAYMENT_ELSEWHERE"), { orderId: order.orderId }));
    stage.rows.isExchanged(order.orderId, came, wanted);
    const given = { order, wanted, came };
    await isDone(given);
    assert.equal(stage.rows.exchanges.get(came.returnId)?.reason, "PAYMENT_ELSEWHERE");
    assert.ok(!stage.rows.rows.has(wanted.orderId));
    assert.equal(stage.world.order(order.orderId).refunded, 1_500n);
    isSound(given);
  });

  test("because not all of it can be credited gets back what was", async () => {
    const order = await amended(stage);
    const [came, wanted] = [back(4_000), costing(3_500)];
    stage.world.rules.push(({ step, id }) =>
      step === "credit" && id.includes(":payment-1") ? refuse("AMOUNT_EXCEEDS_CAPTURE") : undefined,
    );
    stage.rows.isExchanged(order.orderId, came, wanted);
    const given = { order, wanted, came };
    await isDone(given);
    assert.ok(!stage.rows.rows.has(wanted.orderId));
    assert.equal(stage.world.order(order.orderId).refunded, 1_500n);
    assert.equal(paidBack(given), 4_000n);
    isSound(given);
  });

  test("because orders has decided so gets back what was credited since", async () => {
    const given = { order: await delivered(stage), came: back(1_500), wanted: costing(1_000) };
    const { order, came, wanted } = given;
    stage.world.rules.push(on("exchange", { kind: "unavailable" }, { orderId: order.orderId, times: 3 }));
    stage.rows.isExchanged(order.orderId, came, wanted);
    const known = stage.rows.exchanges.get(came.returnId);
    assert.ok(known);
    known.state = "refused";
    await isDone(given);
    assert.ok(!stage.rows.rows.has(wanted.orderId));
    assert.deepEqual([stage.world.order(order.orderId).refunded, paidBack(given)], [500n, 1_500n]);
    isSound(given);
  });
});

describe("an exchange whose workflow is terminated", () => {
  /** Has the workflow terminated that has the order, once it is about to ask for a step of it, or has. */
  function terminating(step: string, when: "before" | "after", orderId: () => string): { times: number } {
    const terminated = { times: 0 };
    stage.world.onCall = async (called, at) => {
      if (called !== step || at !== when || terminated.times > 0 || !stage.rows.rows.has(orderId())) return;
      terminated.times += 1;
      await stage.loses(orderId());
    };
    return terminated;
  }

  for (const step of ["credit", "exchange", "refund", "restock", "complete", "settle"]) {
    for (const when of ["before", "after"] as const) {
      test(`${when} "${step}" has one order sent, and is paid once`, async () => {
        const given = { order: await delivered(stage), came: back(1_500), wanted: costing(1_000) };
        const { order, came, wanted } = given;
        const terminated = terminating(step, when, () => order.orderId);
        stage.rows.isExchanged(order.orderId, came, wanted);
        await isDone(given);
        stage.world.onCall = () => {};
        assert.equal(terminated.times, 1);
        assert.equal(await endOf(given), "DELIVERED");
        assert.deepEqual(traceOf(given).toSorted(), ["complete", "credit", "made", "refund", "restock"]);
        assert.equal(stage.world.order(wanted.orderId).captured, 1_000n);
        assert.equal(paidBack(given), 500n);
        isSound(given);
      });
    }
  }

  for (const step of ["credit", "exchange", "void", "refund"]) {
    for (const when of ["before", "after"] as const) {
      test(`${when} "${step}", and of which nothing is sent, is paid back once`, async () => {
        const given = { order: await delivered(stage), came: back(1_500), wanted: costing(1_000) };
        const { order, came, wanted } = given;
        const terminated = terminating(step, when, () => order.orderId);
        stage.rows.isExchanged(order.orderId, came, wanted);
        const known = stage.rows.exchanges.get(came.returnId);
        assert.ok(known);
        known.state = "refused";
        await isDone(given);
        stage.world.onCall = () => {};
        assert.equal(terminated.times, 1);
        assert.ok(!stage.rows.rows.has(wanted.orderId));
        assert.equal(paidBack(given), 1_500n);
        isSound(given);
      });
    }
  }

  for (const step of ["reserve", "authorize", "confirm", "capture", "commit"]) {
    for (const when of ["before", "after"] as const) {
      test(`${when} "${step}" of the order that is sent goes on with it`, async () => {
        const given = { order: await delivered(stage), came: back(1_000), wanted: costing(1_500) };
        const { order, came, wanted } = given;
        const terminated = terminating(step, when, () => wanted.orderId);
        stage.rows.isExchanged(order.orderId, came, wanted);
        await isDone(given);
        assert.equal(await endOf(given), "DELIVERED");
        stage.world.onCall = () => {};
        assert.equal(terminated.times, 1);
        assert.equal(stage.world.order(wanted.orderId).captured, 1_500n);
        isSound(given);
      });
    }
  }

  for (const step of ["void", "release"]) {
    for (const when of ["before", "after"] as const) {
      test(`${when} "${step}" of the order that is declined gives its credit back once`, async () => {
        const given = { order: await delivered(stage), came: back(1_000), wanted: costing(1_500) };
        const { order, came, wanted } = given;
        stage.world.rules.push(on("authorize", refuse("PAYMENT_DECLINED"), { orderId: wanted.orderId }));
        const terminated = terminating(step, when, () => wanted.orderId);
        stage.rows.isExchanged(order.orderId, came, wanted);
        await isDone(given);
        assert.equal(await endOf(given), "REJECTED");
        stage.world.onCall = () => {};
        assert.equal(terminated.times, 1);
        assert.equal(paidBack(given), 1_000n);
        isSound(given);
      });
    }
  }
});

describe("an order that is sent in exchange and is cancelled", () => {
  test("while it is placed is given back, and the return is done", async () => {
    const given = { order: await delivered(stage), came: back(1_500), wanted: costing(1_000) };
    const { order, came, wanted } = given;
    stage.world.onCall = async (called, at) => {
      if (called !== "exchange" || at !== "after") return;
      stage.world.onCall = () => {};
      stage.rows.happens(wanted.orderId, anEvent("cancellation", { reason: "meanwhile" }));
      await stage.workflow(stage.rows.row(order.orderId).episodeId).terminate();
    };
    stage.rows.isExchanged(order.orderId, came, wanted);
    await isDone(given);
    assert.equal(await endOf(given), "CANCELLED");
    assert.deepEqual([stage.world.order(order.orderId).refunded, paidBack(given)], [500n, 1_500n]);
    isSound(given);
  });

  test("once it is confirmed is given back", async () => {
    const given = { order: await delivered(stage), came: back(1_500), wanted: costing(1_000) };
    const { order, came, wanted } = given;
    stage.world.packs = (id) => (id === wanted.orderId ? undefined : "PACKED");
    stage.rows.isExchanged(order.orderId, came, wanted);
    await isDone(given);
    await until(() => stage.world.order(wanted.orderId).status === "PREPARING", "it is packed", patient);
    stage.rows.happens(wanted.orderId, anEvent("cancellation", { reason: "meanwhile" }));
    assert.equal(await endOf(given), "CANCELLED");
    stage.world.packs = () => "PACKED";
    assert.equal(paidBack(given), 1_500n);
    isSound(given);
  });
});
