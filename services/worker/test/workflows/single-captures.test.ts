// A gateway that captures an authorization once: each parcel has holds of its own, and whatever becomes of the order, nothing stays held and nothing is taken twice.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import type { Allocation } from "../../src/workflows/order/order-types.ts";
import { holdBeside } from "../../src/workflows/order-state.ts";
import { anOrder } from "../stage/harness.ts";
import { Stage } from "../stage/stage.ts";
import type { AmendmentWish } from "../world/order-rows.ts";
import { on } from "../world/rules.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open({ awayFirstMs: 50, awayMaxMs: 50 });
  stage.world.capturesOnce = true;
  stage.world.packs = (orderId) => (waits.has(orderId) ? undefined : "PACKED");
});
after(() => stage?.close());
afterEach(() => {
  stage.world.onCall = () => {};
  stage.world.capturesOnce = true;
});

/** Orders of which nothing is packed as long as nobody says so. */
const waits = new Set<string>();
const eur = (amount: number) => ({ currency: "EUR", amount });
const tea = (quantity: number) => ({ sku: "tea", quantity, unitPrice: 1_000 });
const cup = { sku: "cup", quantity: 1, unitPrice: 500 };
const beside = `payment-${holdBeside(0, 1)}`;
const inTwo: Allocation[] = [
  { sku: "tea", locationId: "BER", quantity: 2 },
  { sku: "cup", locationId: "HAM", quantity: 1 },
];
const inThree: Allocation[] = [
  { sku: "tea", locationId: "BER", quantity: 1 },
  { sku: "tea", locationId: "MUC", quantity: 1 },
  { sku: "cup", locationId: "HAM", quantity: 1 },
];

/** An order whose stock lies there. */
function split(parts = inTwo): SagaOrder {
  const order = anOrder();
  const { allocate } = stage.world;
  stage.world.allocate = (orderId, lines) =>
    orderId === order.orderId ? parts.map((part) => ({ ...part })) : allocate(orderId, lines);
  return order;
}

const moneyOf = (orderId: string) =>
  [...stage.world.payments.values()].filter((payment) => payment.orderId === orderId);

/** Nothing is held any more, so much was taken, and nothing happened twice. */
function assertOver({ orderId }: SagaOrder, captured: bigint, refunded = 0n): void {
  for (const each of moneyOf(orderId)) assert.equal(each.captured + each.voided, each.authorized);
  const sum = (field: "captured" | "refunded") => moneyOf(orderId).reduce((all, each) => all + each[field], 0n);
  assert.deepEqual([sum("captured"), sum("refunded")], [captured, refunded]);
  assert.deepEqual(stage.doubles(orderId), []);
}

const effectsOf = ({ orderId }: SagaOrder, ...kinds: string[]) =>
  stage.world.trace(orderId).filter((effect) => kinds.some((kind) => effect === kind || effect.startsWith(`${kind}:`)));

async function packing(order: SagaOrder): Promise<void> {
  waits.add(order.orderId);
  stage.place([order]);
  await stage.rests(order.orderId, () => stage.world.order(order.orderId).status === "PREPARING");
}

async function amended(order: SagaOrder, wish: AmendmentWish): Promise<string> {
  const { orderId } = order;
  stage.rows.amend(orderId, wish);
  await stage.rests(orderId, () => stage.rows.row(orderId).amendments.every(({ isOver }) => isOver));
  return stage.rows.amended(orderId);
}

/** The warehouse packs what it has of an order, and it goes to its end. */
async function packed(order: SagaOrder): Promise<string[]> {
  for (const { locationId, generation = 0, stage: at } of stage.rows.state(order.orderId).parcels) {
    if (at === "PACKING") stage.world.tell(order.orderId, locationId, { news: "PACKED", generation });
  }
  return await stage.ends([order]);
}

describe("an order", () => {
  test("of one parcel is authorized and captured once", async () => {
    const order = anOrder();
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    assert.deepEqual(effectsOf(order, "authorize", "capture", "void"), ["authorize", "capture:BER"]);
    assertOver(order, 2_500n);
  });

  test("of several has each held for itself, and captured from there", async () => {
    const order = split(inThree);
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    const held = moneyOf(order.orderId).map(({ authorized, captured }) => [authorized, captured]);
    assert.deepEqual(held, [
      [1_000n, 1_000n],
      [1_000n, 1_000n],
      [500n, 500n],
    ]);
    assertOver(order, 2_500n);
  });

  test("is refused when one of its holds is declined, and the others are given up", async () => {
    const order = split(inThree);
    const { orderId } = order;
    const last = `payment-${holdBeside(0, 2)}`;
    stage.world.rules.push((call) =>
      call.step === "authorize" && call.orderId === orderId && call.id.endsWith(last)
        ? { kind: "refuse", reason: "PAYMENT_DECLINED" }
        : undefined,
    );
    assert.deepEqual(await stage.run([order]), ["REJECTED"]);
    assert.deepEqual(effectsOf(order, "authorize"), ["authorize", `authorize:${beside}`]);
    assert.deepEqual(effectsOf(order, "void"), ["void", `void:${beside}`, `void:${last}`]);
    assertOver(order, 0n);
  });

  test("gives up what is held for a parcel that cannot leave, and nothing else", async () => {
    const order = split();
    stage.world.rules.push(on("ship:BER", { kind: "refuse", reason: "CARRIER_REFUSED" }, { orderId: order.orderId }));
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    assert.deepEqual(effectsOf(order, "capture", "void"), ["void:BER", `capture:HAM:${beside}`].toSorted().reverse());
    assertOver(order, 500n);
  });

  test("that is cancelled while it is packed gives up all of it", async () => {
    const order = split(inThree);
    await packing(order);
    assert.equal(await stage.cancel(order.orderId), "accepted");
    assert.deepEqual(await stage.ends([order]), ["CANCELLED"]);
    assertOver(order, 0n);
  });

  test("is paid back what a parcel cost that is lost", async () => {
    const order = split();
    const { arrives } = stage.world;
    stage.world.arrives = (_, locationId) => (locationId === "HAM" ? "LOST" : "DELIVERED");
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    stage.world.arrives = arrives;
    assert.deepEqual(effectsOf(order, "refund"), [`refund:HAM:${beside}`]);
    assertOver(order, 2_500n, 500n);
  });

  test("is paid back what came back, from as many payments as it takes", async () => {
    const order = split();
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    stage.rows.comesBack(order.orderId, { returnId: "R", parts: [], amount: 2_200 });
    await stage.rests(order.orderId, () => !stage.world.cameBack.get(order.orderId)?.size);
    assertOver(order, 2_500n, 2_200n);
  });

  test("waits for an operator when a capture is refused, and the others leave", async () => {
    const order = split();
    const { orderId } = order;
    stage.world.rules.push(({ step, id, ...call }) =>
      step === "capture" && call.orderId === orderId && id.endsWith(beside)
        ? { kind: "refuse", reason: "PAYMENT_DECLINED" }
        : undefined,
    );
    stage.place([order]);
    await stage.parked(orderId, `capture:HAM/${holdBeside(0, 1)}`);
    assert.equal(moneyOf(orderId)[0]?.captured, 2_000n);
    stage.world.rules.pop();
    stage.decide(orderId, `capture:HAM/${holdBeside(0, 1)}`, false);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assertOver(order, 2_500n);
  });

  test("of which something is missing is held for what is there", async () => {
    const order = split([
      { sku: "tea", locationId: "BER", quantity: 1 },
      { sku: "cup", locationId: "HAM", quantity: 1 },
    ]);
    stage.world.missing.set(order.orderId, [{ sku: "tea", quantity: 1 }]);
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    assert.deepEqual(effectsOf(order, "authorize"), ["authorize", `authorize:${beside}`]);
    assertOver(order, 1_500n);
  });

  test("keeps its kind when the account's setting changes", async () => {
    for (const before of [true, false]) {
      stage.world.capturesOnce = before;
      const order = split();
      await packing(order);
      stage.world.capturesOnce = !before;
      assert.equal(
        await amended(order, { lines: [tea(3), cup], total: eur(3_500), cardToken: "tok_approve" }),
        "accepted",
      );
      stage.world.capturesOnce = before;
      assert.deepEqual(await packed(order), ["DELIVERED"]);
      assert.equal(stage.world.order(order.orderId).captured, 3_500n);
    }
  });
});

describe("stock that is firm elsewhere than it was set aside", () => {
  const elsewhere: Allocation[] = [
    { sku: "tea", locationId: "BER", quantity: 1 },
    { sku: "tea", locationId: "HAM", quantity: 1 },
    { sku: "cup", locationId: "HAM", quantity: 1 },
  ];

  test("has what is missing authorized before the parcel leaves, and what is too much is free", async () => {
    const order = split();
    stage.world.confirms.set(order.orderId, elsewhere);
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    const further = `payment-${holdBeside(0, 2)}`;
    assert.deepEqual(effectsOf(order, "authorize"), ["authorize", `authorize:${beside}`, `authorize:${further}`]);
    assertOver(order, 2_500n);
  });

  test("in fewer places has the one take all, and nothing is held for the other", async () => {
    const order = split();
    stage.world.confirms.set(order.orderId, [
      { sku: "tea", locationId: "MUC", quantity: 2 },
      { sku: "cup", locationId: "MUC", quantity: 1 },
    ]);
    assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
    assert.deepEqual(effectsOf(order, "capture"), ["capture:MUC", `capture:MUC:${beside}`]);
    assertOver(order, 2_500n);
  });

  test("waits for an operator where that is declined, once the parcel leaves", async () => {
    const order = split();
    const { orderId } = order;
    stage.world.confirms.set(orderId, elsewhere);
    const further = holdBeside(0, 2);
    stage.world.rules.push((call) =>
      call.step === "authorize" && call.orderId === orderId && call.id.endsWith(`payment-${further}`)
        ? { kind: "refuse", reason: "PAYMENT_DECLINED" }
        : undefined,
    );
    stage.place([order]);
    await stage.parked(orderId, `capture:HAM/${further}`);
    stage.decide(orderId, `capture:HAM/${further}`, true);
    assert.deepEqual(await stage.ends([order]), ["DELIVERED"]);
    assertOver(order, 1_500n);
  });
});

const amendments: [what: string, wish: AmendmentWish, total: bigint][] = [
  ["to less", { lines: [tea(1), cup], total: eur(1_500) }, 1_500n],
  ["to more", { lines: [tea(4), cup], total: eur(4_500), cardToken: "tok_approve" }, 4_500n],
  ["to another price", { lines: [{ ...tea(2), unitPrice: 900 }, cup], total: eur(2_300) }, 2_300n],
  ["to one parcel", { lines: [tea(2)], total: eur(2_000) }, 2_000n],
  ["to another one", { lines: [tea(2), { ...cup, sku: "mug" }], total: eur(2_500) }, 2_500n],
];

describe("an order that is amended", () => {
  for (const [what, wish, total] of amendments) {
    test(`${what} is charged exactly that, and nothing stays held`, async () => {
      const order = split();
      await packing(order);
      assert.equal(await amended(order, wish), "accepted");
      assert.deepEqual(await packed(order), ["DELIVERED"]);
      assertOver(order, total);
    });
  }

  test("several times, with each parcel costing more, is held for each of them", async () => {
    const order = split();
    await packing(order);
    const dearer = (by: number) => [
      { ...tea(2), unitPrice: 1_000 + by },
      { ...cup, unitPrice: 500 + by },
    ];
    for (const by of [100, 200]) {
      const wish = { lines: dearer(by), total: eur(2_500 + 3 * by), cardToken: "tok_approve" };
      assert.equal(await amended(order, wish), "accepted");
    }
    const further = [1, 2].flatMap((number) => [number, holdBeside(number, 1)]);
    assert.deepEqual(
      effectsOf(order, "authorize").slice(2),
      further.map((payment) => `authorize:payment-${payment}`),
    );
    assert.deepEqual(await packed(order), ["DELIVERED"]);
    assertOver(order, 3_100n);
  });

  test("is left as it was when one of several further holds is declined", async () => {
    const order = split();
    const { orderId } = order;
    await packing(order);
    stage.world.rules.push((call) =>
      call.step === "authorize" && call.id.endsWith(`${orderId}:authorize:payment-${holdBeside(1, 1)}`)
        ? { kind: "refuse", reason: "PAYMENT_DECLINED" }
        : undefined,
    );
    const lines = [
      { ...tea(2), unitPrice: 1_100 },
      { ...cup, unitPrice: 600 },
    ];
    assert.equal(await amended(order, { lines, total: eur(2_800), cardToken: "tok_approve" }), "PAYMENT_DECLINED");
    assert.deepEqual(await packed(order), ["DELIVERED"]);
    assertOver(order, 2_500n);
  });

  test("so that its parcels cost otherwise, needs a card where more is to be held for one of them", async () => {
    const order = split();
    await packing(order);
    const wish = {
      lines: [
        { ...tea(2), unitPrice: 900 },
        { ...cup, unitPrice: 700 },
      ],
      total: eur(2_500),
    };
    assert.equal(await amended(order, wish), "CARD_NEEDED");
    assert.equal(await amended(order, { ...wish, cardToken: "tok_approve" }), "accepted");
    assert.deepEqual(await packed(order), ["DELIVERED"]);
    assertOver(order, 2_500n);
  });
});

const forward = ["reserve", "authorize", "confirm", "transition", "prepare", "settle", "ship", "capture", "commit"];

describe("a workflow that is terminated", () => {
  for (const moved of [false, true]) {
    for (const step of forward) {
      for (const when of ["before", "after"] as const) {
        test(`${when} "${step}"${moved ? ", of stock that is elsewhere" : ""}: nothing is held or taken twice`, async () => {
          const order = split(inThree);
          if (moved) stage.world.confirms.set(order.orderId, inTwo);
          let times = 0;
          stage.world.onCall = async (called, at) => {
            if (called === step && at === when && times++ === 0) await stage.loses(order.orderId);
          };
          assert.deepEqual(await stage.run([order]), ["DELIVERED"]);
          assertOver(order, 2_500n);
        });
      }
    }
  }

  test("when all is held, of an order that is cancelled since: all of it is given up", async () => {
    const order = split(inThree);
    const { orderId } = order;
    let times = 0;
    stage.world.onCall = async (called, at) => {
      if (called !== "confirm" || at !== "before" || times++ > 0) return;
      stage.world.rules.push(on("reserve", { kind: "refuse", reason: "REQUEST_ID_REUSED" }, { orderId }));
      await stage.loses(orderId);
    };
    const end = await stage.run([order]);
    assert.ok(end[0] === "REJECTED" || end[0] === "FAILED", String(end));
    assert.equal(moneyOf(orderId).length, 3);
    assertOver(order, 0n);
  });

  for (const step of ["amend", "authorize", "take-back", "decide", "trim", "void"]) {
    for (const when of ["before", "after"] as const) {
      test(`${when} "${step}" of an amendment: nothing is held or taken twice`, async () => {
        const order = split();
        await packing(order);
        let times = 0;
        stage.world.onCall = async (called, at) => {
          if (called === step && at === when && times++ === 0) await stage.loses(order.orderId);
        };
        const lines = step === "void" ? [tea(2)] : [{ ...tea(3) }, { ...cup, unitPrice: 600 }];
        const total = eur(step === "void" ? 2_000 : 3_600);
        assert.equal(
          await amended(order, { lines, total, ...(step !== "void" && { cardToken: "tok_approve" }) }),
          "accepted",
        );
        stage.world.onCall = () => {};
        assert.deepEqual(await packed(order), ["DELIVERED"]);
        assertOver(order, BigInt(total.amount));
      });
    }
  }
});
