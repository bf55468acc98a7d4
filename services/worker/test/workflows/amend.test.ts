// Amending an order: whole or not at all, whatever fails, stops or is asked for meanwhile.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "#testing/until.ts";
import type { Allocation } from "../../src/workflows/order/order-types.ts";
import { anOrder } from "../stage/harness.ts";
import { patient, Stage } from "../stage/stage.ts";
import type { AmendmentWish } from "../world/order-rows.ts";
import { anEvent } from "../world/order-rows.ts";
import { type Behaviour, on } from "../world/rules.ts";

let stage: Stage;
const packs = new Map<string, string>();
before(async () => {
  stage = await Stage.open({ awayFirstMs: 50, awayMaxMs: 50 });
  stage.world.packs = (orderId, locationId) =>
    packs.get(orderId) && (packs.get(`${orderId}:${locationId}`) ?? undefined);
  stage.world.arrives = () => "DELIVERED";
});
after(() => stage?.close());

const eur = (amount: number) => ({ currency: "EUR", amount });
const tea = (quantity: number) => ({ sku: "tea", quantity, unitPrice: 1_000 });
const cup = { sku: "cup", quantity: 1, unitPrice: 500 };
const address = { recipient: "B. Person", lines: ["Street 2"], city: "Hamburg", postalCode: "20095", country: "DE" };

const elsewhere: AmendmentWish = { address };
const fewer: AmendmentWish = { lines: [tea(1), cup], total: eur(1_500) };
const cheaper: AmendmentWish = { lines: [{ ...tea(2), unitPrice: 900 }, cup], total: eur(2_300) };
const swapped: AmendmentWish = { lines: [tea(2), { ...cup, sku: "mug" }], total: eur(2_500) };
const more: AmendmentWish = { lines: [tea(4), cup], total: eur(4_500), cardToken: "tok_approve" };

const checkout = ["reserve", "authorize", "confirm", "CONFIRMED", "prepare:BER", "PREPARING"];
const leaves = (name = "BER~1") => [`ship:${name}`, `capture:${name}`, "commit:BER", "SHIPPED", "DELIVERED"];

/** An order whose parcels are being packed. */
async function packing(change: Parameters<typeof anOrder>[0] = {}) {
  const order = anOrder(change);
  packs.set(order.orderId, "later");
  stage.place([order]);
  await preparing(order.orderId);
  return order;
}

async function preparing(orderId: string): Promise<void> {
  await stage.rests(orderId, () => stage.world.order(orderId).status === "PREPARING");
}

async function decided(orderId: string): Promise<string> {
  const { amendments } = stage.rows.row(orderId);
  await stage.rests(orderId, () => amendments.every(({ isOver }) => isOver));
  return stage.rows.amended(orderId);
}

/** The warehouse packs what it has of an order. */
function pack(orderId: string): void {
  for (const { locationId, generation = 0, stage: at } of stage.rows.state(orderId).parcels) {
    if (at === "PACKING") stage.world.tell(orderId, locationId, { news: "PACKED", generation });
  }
}

/** What is authorized of an order and neither captured nor voided is what its parcels cost. */
function assertBalanced(orderId: string): void {
  const { authorized, captured, voided } = stage.world.order(orderId);
  const { parcels } = stage.rows.state(orderId);
  const sum = (stages: string[]) =>
    parcels.filter((parcel) => stages.includes(parcel.stage)).reduce((all, { amount }) => all + BigInt(amount), 0n);
  assert.equal(authorized - captured - voided, sum(["PLANNED", "PACKING", "LEAVING", "BOOKING", "TAKEN"]));
  assert.equal(captured, sum(["SHIPPED", "DELIVERED", "LOST"]));
  assert.deepEqual(stage.doubles(orderId), []);
}

/** What is firm or has left of an order, by article. */
function stockOf(orderId: string): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { sku, quantity } of stage.world.order(orderId).parts) sums[sku] = (sums[sku] ?? 0) + quantity;
  return sums;
}

const changes: [what: string, wish: AmendmentWish, trace: string[], stock: Record<string, number>][] = [
  ["another address", elsewhere, ["amend", "take-back:BER", "AMENDED", "trim", "prepare:BER~1"], { tea: 2, cup: 1 }],
  [
    "fewer pieces",
    fewer,
    ["amend", "take-back:BER", "AMENDED", "trim", "void:amendment-1", "prepare:BER~1"],
    { tea: 1, cup: 1 },
  ],
  ["another article", swapped, ["amend", "take-back:BER", "AMENDED", "trim", "prepare:BER~1"], { tea: 2, mug: 1 }],
  [
    "more pieces",
    more,
    ["amend", "authorize:payment-1", "take-back:BER", "AMENDED", "trim", "prepare:BER~1"],
    { tea: 4, cup: 1 },
  ],
];

describe("an order that is being packed is amended", () => {
  for (const [what, wish, trace, stock] of changes) {
    test(`to ${what}`, async () => {
      const order = await packing();
      const { orderId } = order;
      stage.rows.amend(orderId, wish);
      assert.equal(await decided(orderId), "accepted");
      assert.deepEqual(stage.world.trace(orderId), [...checkout, ...trace]);
      assert.deepEqual(stockOf(orderId), stock);
      assertBalanced(orderId);
      pack(orderId);
      assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
      const captures = what === "more pieces" ? ["capture:BER~1", "capture:BER~1:payment-1"] : ["capture:BER~1"];
      const end = leaves().flatMap((effect) => (effect === "capture:BER~1" ? captures : [effect]));
      assert.deepEqual(stage.world.trace(orderId), [...checkout, ...trace, ...end]);
      assertBalanced(orderId);
    });
  }

  test("to another price, without the parcel being touched", async () => {
    const order = await packing();
    const { orderId } = order;
    stage.rows.amend(orderId, cheaper);
    assert.equal(await decided(orderId), "accepted");
    assert.deepEqual(stage.world.trace(orderId), [...checkout, "amend", "AMENDED", "trim", "void:amendment-1"]);
    pack(orderId);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assert.equal(stage.world.order(orderId).captured, 2_300n);
    assertBalanced(orderId);
  });

  test("several times: what was told of a parcel that is gone is not heard", async () => {
    const order = await packing();
    const { orderId } = order;
    for (const wish of [more, { ...fewer }, elsewhere]) {
      stage.rows.amend(orderId, wish);
      assert.equal(await decided(orderId), "accepted");
      stage.world.tell(orderId, "BER", { news: "PACKED" });
      await stage.rests(orderId);
      assertBalanced(orderId);
    }
    pack(orderId);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assert.deepEqual(stage.world.trace(orderId).slice(-5), leaves("BER~3"));
    assert.equal(stage.world.order(orderId).captured, 1_500n);
    assertBalanced(orderId);
  });

  test("before it is confirmed: once it is", async () => {
    const order = anOrder();
    const { orderId } = order;
    packs.set(orderId, "later");
    stage.rows.place(order);
    stage.rows.amend(orderId, fewer);
    assert.equal(await decided(orderId), "accepted");
    const trace = ["amend", "take-back:BER", "AMENDED", "trim", "void:amendment-1", "prepare:BER~1", "PREPARING"];
    assert.deepEqual(stage.world.trace(orderId), [...checkout.slice(0, 4), ...trace]);
    assertBalanced(orderId);
  });
});

describe("of several parcels", () => {
  const split: Allocation[] = [
    { sku: "tea", locationId: "BER", quantity: 2 },
    { sku: "cup", locationId: "HAM", quantity: 1 },
  ];
  const inTwo = async () => {
    const allocate = stage.world.allocate;
    stage.world.allocate = () => split.map((part) => ({ ...part }));
    const order = await packing();
    stage.world.allocate = allocate;
    return order;
  };

  test("only those are taken back that it concerns", async () => {
    const order = await inTwo();
    const { orderId } = order;
    stage.rows.amend(orderId, fewer);
    assert.equal(await decided(orderId), "accepted");
    const trace = stage.world.trace(orderId).slice(7);
    assert.deepEqual(trace, ["amend", "take-back:BER", "AMENDED", "trim", "void:amendment-1", "prepare:BER~1"]);
    pack(orderId);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assertBalanced(orderId);
  });

  test("one that has left is none of its business when it concerns the other", async () => {
    const order = await inTwo();
    const { orderId } = order;
    stage.world.arrives = () => undefined;
    stage.world.tell(orderId, "HAM", { news: "PACKED" });
    await stage.rests(orderId, () => stage.rows.state(orderId).parcels[1]?.stage === "SHIPPED");
    stage.rows.amend(orderId, fewer);
    assert.equal(await decided(orderId), "accepted");
    assertBalanced(orderId);
    stage.world.arrives = () => "DELIVERED";
    stage.world.tell(orderId, "HAM", { news: "DELIVERED" });
    pack(orderId);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assert.equal(stage.world.order(orderId).captured, 1_500n);
  });

  for (const [what, wish] of [
    ["the article in it", { lines: [tea(2)], total: eur(2_000) }],
    ["the address", elsewhere],
    ["a price below what it cost", { lines: [tea(2), cup], total: eur(400) }],
  ] as [string, AmendmentWish][]) {
    test(`one that has left is not changed: ${what}`, async () => {
      const order = await inTwo();
      const { orderId } = order;
      stage.world.arrives = () => undefined;
      stage.world.tell(orderId, "HAM", { news: "PACKED" });
      await stage.rests(orderId, () => stage.rows.state(orderId).parcels[1]?.stage === "SHIPPED");
      stage.rows.amend(orderId, wish);
      assert.equal(await decided(orderId), "AMENDMENT_TOO_LATE");
      assertBalanced(orderId);
      stage.world.arrives = () => "DELIVERED";
      stage.world.tell(orderId, "HAM", { news: "DELIVERED" });
      pack(orderId);
      assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
      assert.equal(stage.world.order(orderId).captured, 2_500n);
      assertBalanced(orderId);
    });
  }

  test("when one is packed already, those that were taken back are packed again as they were", async () => {
    const order = await inTwo();
    const { orderId } = order;
    // The warehouse has packed it, and nobody has been told.
    stage.world.order(orderId).shipments.set("HAM", "ready");
    stage.rows.amend(orderId, elsewhere);
    assert.equal(await decided(orderId), "AMENDMENT_TOO_LATE");
    const trace = ["amend", "take-back:BER", "NOT AMENDED: AMENDMENT_TOO_LATE", "unamend", "prepare:BER~1"];
    assert.deepEqual(stage.world.trace(orderId).slice(7), trace);
    stage.world.tell(orderId, "HAM", { news: "PACKED" });
    pack(orderId);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assert.equal(stage.world.order(orderId).captured, 2_500n);
    assertBalanced(orderId);
  });
});

interface Refused {
  readonly step: string;
  readonly reason: string;
  readonly told: string;
  readonly trace: string[];
  readonly end: string[];
}

const refusals: Refused[] = [
  { step: "amend", reason: "OUT_OF_STOCK", told: "OUT_OF_STOCK", trace: [], end: ["unamend"] },
  {
    step: "authorize",
    reason: "PAYMENT_DECLINED",
    told: "PAYMENT_DECLINED",
    trace: ["amend"],
    end: ["void:payment-1", "unamend"],
  },
  {
    step: "take-back",
    reason: "ALREADY_PACKED",
    told: "AMENDMENT_TOO_LATE",
    trace: ["amend", "authorize:payment-1"],
    end: ["void:payment-1", "unamend"],
  },
  {
    step: "decide",
    reason: "SOMETHING_ELSE",
    told: "SOMETHING_ELSE",
    trace: ["amend", "authorize:payment-1", "take-back:BER"],
    end: ["void:payment-1", "unamend", "prepare:BER~1"],
  },
];

describe("a refusal leaves the order as it was, undone the last first", () => {
  for (const { step, reason, told, trace, end } of refusals) {
    test(`of "${step}"`, async () => {
      const order = await packing();
      const { orderId } = order;
      stage.world.rules.push((call) => {
        if (call.step !== step || call.orderId !== orderId) return undefined;
        // What refuses the amendment takes its refusal.
        return step === "decide" && call.repetition > 0 ? undefined : { kind: "refuse", reason };
      });
      stage.rows.amend(orderId, more);
      assert.equal(await decided(orderId), told);
      assert.deepEqual(stage.world.trace(orderId), [...checkout, ...trace, `NOT AMENDED: ${told}`, ...end]);
      assert.deepEqual(stockOf(orderId), { tea: 2, cup: 1 });
      assertBalanced(orderId);
      pack(orderId);
      assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
      assert.equal(stage.world.order(orderId).captured, 2_500n);
      assertBalanced(orderId);
    });
  }
});

const steps = ["amend", "authorize", "take-back", "decide", "trim", "prepare"] as const;
const behaviours: Behaviour[] = [{ kind: "unavailable" }, { kind: "lost" }];

describe("whoever is away holds an amendment up, and nothing happens twice", () => {
  for (const step of [...steps, "void"]) {
    for (const behaviour of behaviours) {
      test(`"${step}" ${behaviour.kind === "lost" ? "loses its answers" : "is away"}`, async () => {
        const order = await packing();
        const { orderId } = order;
        let times = 0;
        stage.world.rules.push((call) =>
          call.step === step && call.orderId === orderId && times++ < 3 ? behaviour : undefined,
        );
        stage.rows.amend(orderId, step === "void" ? fewer : more);
        assert.equal(await decided(orderId), "accepted");
        await stage.rests(orderId, () =>
          stage.rows.state(orderId).parcels.every((parcel) => parcel.stage === "PACKING"),
        );
        // An order that was amended is not amended again: the row says so.
        assert.ok(times >= (step === "decide" && behaviour.kind === "lost" ? 2 : 3));
        assertBalanced(orderId);
        pack(orderId);
        assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
        assertBalanced(orderId);
      });
    }
  }

  for (const step of ["void", "unamend", "take-back", "decide"]) {
    test(`"${step}" is away while it is undone`, async () => {
      const order = await packing();
      const { orderId } = order;
      let times = 0;
      stage.world.rules.push((call) => {
        if (call.orderId !== orderId) return undefined;
        if (call.step === "decide" && call.repetition === 0) return { kind: "refuse", reason: "NOT_NOW" };
        return call.step === step && (step !== "take-back" || call.repetition > 0) && times++ < 3
          ? { kind: "unavailable" }
          : undefined;
      });
      stage.rows.amend(orderId, more);
      assert.equal(await decided(orderId), "NOT_NOW");
      assert.deepEqual(stockOf(orderId), { tea: 2, cup: 1 });
      assertBalanced(orderId);
      await stage.rests(orderId, () => stage.rows.state(orderId).parcels.every((parcel) => parcel.stage === "PACKING"));
      pack(orderId);
      assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
      assertBalanced(orderId);
    });
  }

  test("an undo that is refused is parked, and an operator decides", async () => {
    const order = await packing();
    const { orderId } = order;
    stage.world.rules.push(
      on("amend", { kind: "refuse", reason: "OUT_OF_STOCK" }, { orderId }),
      on("unamend", { kind: "refuse", reason: "NOT_NOW" }, { orderId, times: 1 }),
    );
    stage.rows.amend(orderId, more);
    await stage.parked(orderId, "end-amendment~1");
    await stage.rests(orderId);
    stage.decide(orderId, "end-amendment~1", false);
    assert.equal(await decided(orderId), "OUT_OF_STOCK");
    pack(orderId);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assertBalanced(orderId);
  });
});

describe("a workflow that is terminated in an amendment is followed by another one that goes on", () => {
  for (const step of [...steps, "void", "settle"] as const) {
    for (const when of ["before", "after"] as const) {
      test(`${when} "${step}"`, async () => {
        const order = await packing();
        const { orderId } = order;
        const terminated = { times: 0 };
        stage.world.onCall = async (called, at) => {
          if (called !== step || at !== when || terminated.times > 0) return;
          terminated.times++;
          await stage.loses(orderId);
        };
        stage.rows.amend(orderId, step === "void" ? fewer : more);
        assert.equal(await decided(orderId), "accepted");
        stage.world.onCall = () => {};
        assert.equal(terminated.times, 1);
        await stage.rests(orderId, () =>
          stage.rows.state(orderId).parcels.every((parcel) => parcel.stage === "PACKING"),
        );
        assertBalanced(orderId);
        pack(orderId);
        assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
        assertBalanced(orderId);
      });
    }
  }

  for (const step of ["authorize", "confirm", "amend", "take-back", "decide", "trim", "prepare", "settle"] as const) {
    for (const times of [1, 2]) {
      test(`that was asked for before the order was confirmed, after "${step}" ${times}`, async () => {
        const order = anOrder();
        const { orderId } = order;
        packs.set(orderId, "later");
        let called = 0;
        stage.world.onCall = async (name, at) => {
          const { amendments } = stage.rows.row(orderId);
          if (name !== step || at !== "after" || amendments.length === 0 || ++called !== times) return;
          await stage.loses(orderId);
        };
        stage.place([order], [on("authorize", { kind: "unavailable" }, { orderId, times: 3 })]);
        await until(() => stage.rows.row(orderId).settlements.length > 0, "its checkout rests", patient);
        stage.rows.amend(orderId, more);
        assert.equal(await decided(orderId), "accepted");
        stage.world.onCall = () => {};
        assert.ok(called >= 1, `${step} was called ${called} times`);
        await stage.rests(orderId, () =>
          stage.rows.state(orderId).parcels.every((parcel) => parcel.stage === "PACKING"),
        );
        assert.deepEqual(stockOf(orderId), { tea: 4, cup: 1 });
        assertBalanced(orderId);
        pack(orderId);
        assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
        assertBalanced(orderId);
        assert.deepEqual(stage.world.reworded, []);
      });
    }
  }

  for (const outcome of ["accepted", "NOT_NOW"]) {
    test(`and whose parcel is packed before the next one begins: ${outcome}`, async () => {
      const order = await packing();
      const { orderId } = order;
      const refuse = on("decide", { kind: "refuse", reason: "NOT_NOW" }, { orderId, times: 1 });
      if (outcome !== "accepted") stage.world.rules.push(refuse);
      let lost = 0;
      stage.world.onCall = async (called, at) => {
        if (called !== "prepare" || at !== "after" || ++lost > 1) return;
        stage.world.tell(orderId, "BER", { news: "PACKED", generation: 1 });
        await stage.loses(orderId);
      };
      stage.rows.amend(orderId, more);
      assert.equal(await decided(orderId), outcome);
      assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
      stage.world.onCall = () => {};
      assert.ok(lost >= 1);
      assertBalanced(orderId);
    });
  }

  for (const step of ["decide", "trim", "void", "prepare"] as const) {
    test(`after "${step}", and rests before it is through, as payments is away`, async () => {
      const order = await packing();
      const { orderId } = order;
      let lost = 0;
      let away = 0;
      stage.world.rules.push((call) => {
        const isAway = call.step === "void" && call.orderId === orderId && lost > 0 && away < 3;
        if (!isAway) return undefined;
        // Once the episode that rests has begun: what is told now is the next one's.
        if (++away === 1 && step === "prepare") stage.world.tell(orderId, "BER", { news: "PACKED", generation: 1 });
        return { kind: "unavailable" };
      });
      stage.world.onCall = async (called, at) => {
        if (called === step && at === "after" && ++lost === 1) await stage.loses(orderId);
      };
      stage.rows.amend(orderId, fewer);
      assert.equal(await decided(orderId), "accepted");
      stage.world.onCall = () => {};
      assert.equal(away, 3);
      if (step !== "prepare") {
        await stage.rests(orderId, () =>
          stage.rows.state(orderId).parcels.every((parcel) => parcel.stage === "PACKING"),
        );
        assertBalanced(orderId);
        pack(orderId);
      }
      assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
      assertBalanced(orderId);
    });
  }

  for (const step of ["void", "unamend", "decide", "prepare", "settle"] as const) {
    test(`while it is undone, after "${step}"`, async () => {
      const order = await packing();
      const { orderId } = order;
      const terminated = { times: 0 };
      stage.world.rules.push(on("decide", { kind: "refuse", reason: "NOT_NOW" }, { orderId, times: 1 }));
      let decisions = 0;
      stage.world.onCall = async (called, at) => {
        if (called === "decide" && at === "after") decisions++;
        if (called !== step || at !== "after" || terminated.times > 0 || decisions < 2) return;
        terminated.times++;
        await stage.loses(orderId);
      };
      stage.rows.amend(orderId, more);
      const told = await decided(orderId);
      stage.world.onCall = () => {};
      assert.equal(terminated.times, 1);
      assert.equal(told, "NOT_NOW");
      assert.deepEqual(stockOf(orderId), { tea: 2, cup: 1 });
      await stage.rests(orderId, () => stage.rows.state(orderId).parcels.every((parcel) => parcel.stage === "PACKING"));
      pack(orderId);
      assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
      assertBalanced(orderId);
    });
  }

  test("and was only slow: what it accepts afterwards is refused", async () => {
    const order = await packing();
    const { orderId } = order;
    let zombie = "";
    let wake = () => {};
    stage.world.onCall = (called, at) => {
      if (called !== "decide" || at !== "before" || zombie !== "") return undefined;
      zombie = stage.rows.row(orderId).episodeId;
      return new Promise((resolve) => {
        wake = resolve;
      });
    };
    stage.rows.amend(orderId, more);
    await until(() => zombie !== "", "the first episode comes to its pivot", patient);
    // Meanwhile the order is cancelled, and another episode has it.
    stage.rows.row(orderId).taken.push(anEvent("cancellation", { reason: "meanwhile" }));
    stage.rows.giveBack(zombie);
    assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
    wake();
    await stage.workflow(zombie).result();
    stage.world.onCall = () => {};
    assert.equal(stage.rows.amended(orderId), "ORDER_ENDED");
    const { authorized, voided, captured } = stage.world.order(orderId);
    assert.deepEqual([authorized - voided, captured], [0n, 0n]);
  });
});

describe("a cancellation", () => {
  for (const step of steps) {
    test(`at rest, while "${step}" of an amendment is away, undoes all of it`, async () => {
      const order = await packing();
      const { orderId } = order;
      let away = true;
      stage.world.rules.push((call) =>
        call.step === step && call.orderId === orderId && away ? { kind: "unavailable" } : undefined,
      );
      stage.rows.amend(orderId, more);
      await stage.rests(orderId, () => stage.rows.row(orderId).waitsFor !== "");
      assert.equal(await stage.cancel(orderId), "accepted");
      away = false;
      assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
      const { authorized, voided, captured } = stage.world.order(orderId);
      assert.deepEqual([authorized - voided, captured], [0n, 0n]);
      const happened = step === "trim" || step === "prepare";
      assert.equal(stage.rows.amended(orderId), happened ? "accepted" : "ORDER_ENDED");
      assert.deepEqual(stage.doubles(orderId), []);
    });

    test(`while "${step}" of an amendment is tried again undoes all of it`, async () => {
      const order = await packing();
      const { orderId } = order;
      let asked: Promise<string> | undefined;
      let times = 0;
      stage.world.rules.push((call) => {
        if (call.step !== step || call.orderId !== orderId) return undefined;
        if (times++ === 0) return { kind: "lost" };
        asked ??= stage.cancel(orderId);
        return undefined;
      });
      stage.rows.amend(orderId, more);
      assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
      assert.equal(await asked, "accepted");
      const { authorized, voided, captured } = stage.world.order(orderId);
      assert.deepEqual([authorized - voided, captured], [0n, 0n]);
      assert.deepEqual(stage.doubles(orderId), []);
    });
  }

  test("that comes with an amendment wins", async () => {
    const order = await packing();
    const { orderId } = order;
    assert.equal(await stage.cancel(orderId), "accepted");
    stage.rows.amend(orderId, more);
    assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
    assert.equal(stage.rows.amended(orderId), "ORDER_ENDED");
    const { authorized, voided } = stage.world.order(orderId);
    assert.equal(authorized, voided);
  });
});

test("an order that has ended, or is on its way, is not amended any more", async () => {
  const order = await packing();
  const { orderId } = order;
  stage.world.arrives = () => undefined;
  pack(orderId);
  await stage.rests(orderId, () => stage.world.order(orderId).status === "SHIPPED");
  stage.rows.amend(orderId, elsewhere);
  assert.equal(await decided(orderId), "AMENDMENT_TOO_LATE");
  stage.world.arrives = () => "DELIVERED";
  stage.world.tell(orderId, "BER", { news: "DELIVERED" });
  assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
});

test("a rejected order is not amended", async () => {
  const order = anOrder();
  const { orderId } = order;
  stage.world.rules.push(on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId }));
  stage.rows.place(order);
  stage.rows.amend(orderId, elsewhere);
  assert.deepEqual(await stage.ends([order]), ["REJECTED"]);
  assert.equal(await decided(orderId), "ORDER_ENDED");
});

test("48 amendments, departures and cancellations at once: each order ends as it was told, and its money with it", async () => {
  const orders = await Promise.all(Array.from({ length: 48 }, () => packing()));
  const racing = orders.map(async ({ orderId }, index) => {
    const doAmend = () => stage.rows.amend(orderId, [elsewhere, fewer, more][index % 3] ?? fewer);
    const doPack = () => pack(orderId);
    const acts = index % 2 === 0 ? [doAmend, doPack] : [doPack, doAmend];
    for (const act of acts) {
      act();
      await new Promise((resolve) => setTimeout(resolve, (index % 6) * 10));
    }
    return index % 4 === 3 ? await stage.cancel(orderId) : "refused";
  });
  const told = await Promise.all(racing);
  for (const { orderId } of orders) await decided(orderId);
  for (const { orderId } of orders) if (!stage.rows.isOver(orderId)) pack(orderId);
  const ends = await stage.ends(orders);
  for (const [index, { orderId }] of orders.entries()) {
    assert.equal(ends[index], told[index] === "accepted" ? "CANCELLED" : "DELIVERED", orderId);
    const { authorized, captured, voided } = stage.world.order(orderId);
    assert.equal(captured + voided, authorized);
    const total = stage.rows.row(orderId).order.total.amount;
    assert.equal(captured, ends[index] === "DELIVERED" ? BigInt(total) : 0n);
    assert.deepEqual(stage.doubles(orderId), []);
  }
});
