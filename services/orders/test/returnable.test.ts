// What may come back of an order, and what is paid for it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Allotment, amountOf } from "#platform/money/allotment.ts";
import type { Adjustment, OrderShipment, ShipmentStatus } from "../src/order/order.ts";
import { priceOf } from "../src/order/prices.ts";
import {
  hasCome,
  isExpected,
  mayGo,
  type OrderReturn,
  returnStatuses,
  returnTransitions,
  textOf,
} from "../src/returns/order-return.ts";
import { type DeliveredOrder, Returnable } from "../src/returns/returnable.ts";

/** A parcel that costs so much and holds `tea:2 cup:1`; nothing: nobody knows what. */
const nothingElse = { turnBack: undefined, returnId: "", refunded: undefined } as const;

function parcel(status: ShipmentStatus, amount: bigint, holds = ""): OrderShipment {
  const lines = holds.split(" ").flatMap((item) => {
    const [sku = "", quantity = "0"] = item.split(":");
    return sku === "" ? [] : [{ sku, quantity: Number(quantity) }];
  });
  const money = { currency: "EUR", amount };
  return {
    ...nothingElse,
    locationId: newLocation(),
    shipmentId: "",
    status,
    amount: money,
    trackingNumber: "",
    lines,
  };
}

let locations = 0;
function newLocation(): string {
  locations += 1;
  return `l${locations}`;
}

/** `tea:2:1000` are two of tea for 1000 each. */
function anOrder(lines: string, shipments: OrderShipment[], prices?: DeliveredOrder["prices"]): DeliveredOrder {
  const ordered = lines.split(" ").map((item) => {
    const [sku = "", quantity = "0", price = "0"] = item.split(":");
    return { sku, quantity: Number(quantity), unitPrice: BigInt(price) };
  });
  const amount = ordered.reduce((sum, { quantity, unitPrice }) => sum + BigInt(quantity) * unitPrice, 0n);
  return { lines: ordered, prices, total: { currency: "EUR", amount }, shipments };
}

type Known = ConstructorParameters<typeof Returnable>[1][number];

/** A return of some pieces of a line; its price is the next one's matter when it has come. */
function known(status: OrderReturn["status"], lineNumber: number, quantity: number, amount = 0n): Known {
  const received = hasCome(status) ? quantity : 0;
  const lines = [{ lineNumber, sku: "", quantity, received, restocked: 0, locationId: "", amount }];
  return { status, lines, amount: { currency: "EUR", amount } };
}

describe("the states of returns", () => {
  it("lead where the table says, and nowhere else", () => {
    const expected: Record<string, string> = {
      requested: "approved rejected cancelled",
      approved: "received cancelled",
      received: "completed rejected",
      completed: "",
      rejected: "",
      cancelled: "",
    };
    for (const from of returnStatuses) {
      const next = returnStatuses.filter((to) => mayGo(from, to));
      assert.deepEqual(new Set(next), new Set((expected[from] ?? "-").split(" ").filter(Boolean)), from);
      assert.ok(
        textOf({ status: from, kind: "requested", isDelayed: false, labelState: "", exchange: undefined }).length > 0,
      );
    }
    assert.equal(Object.keys(returnTransitions).length, 6);
    assert.deepEqual(returnStatuses.filter(isExpected), ["requested", "approved"]);
    assert.deepEqual(returnStatuses.filter(hasCome), ["received", "completed"]);
  });
});

describe("what may come back", () => {
  it("is what was delivered: neither what is under way, nor what was lost or called off", () => {
    const shipments = [
      parcel("delivered", 1000n, "tea:1"),
      parcel("shipped", 1000n, "tea:1"),
      parcel("lost", 1000n, "tea:1"),
      parcel("cancelled", 500n, "cup:1"),
    ];
    const returnable = new Returnable(anOrder("tea:3:1000 cup:1:500", shipments), []);
    assert.deepEqual([returnable.askable(1), returnable.askable(2)], [1, 0]);
    assert.deepEqual([returnable.comeable(1), returnable.comeable(2)], [2, 0], "what is under way may come back");
  });

  it("is less what came back and what is to, each once", () => {
    const order = anOrder("tea:9:1000", [parcel("delivered", 9000n, "tea:9")]);
    const all = (["requested", "approved", "received", "completed", "rejected", "cancelled"] as const).map((status) =>
      known(status, 1, 1),
    );
    const returnable = new Returnable(order, all);
    assert.equal(returnable.askable(1), 5);
    assert.equal(returnable.comeable(1), 7, "what is announced is as good as what is not");
  });

  it("is everything of an order that arrived whole, also where nobody noted what parcels held", () => {
    const parcels = (...statuses: ShipmentStatus[]) => statuses.map((status) => parcel(status, 1500n));
    const whole = new Returnable(anOrder("tea:2:1000 cup:2:500", parcels("delivered", "delivered")), []);
    assert.deepEqual([whole.isDelivered, whole.askable(1), whole.askable(2)], [true, 2, 2]);
    const underWay = new Returnable(anOrder("tea:2:1000 cup:2:500", parcels("delivered", "shipped")), []);
    assert.deepEqual([underWay.isDelivered, underWay.askable(1), underWay.comeable(1)], [false, 0, 2]);
    const lost = new Returnable(anOrder("tea:2:1000 cup:2:500", parcels("delivered", "lost")), []);
    assert.deepEqual([lost.isDelivered, lost.comeable(1)], [false, 0], "which pieces they were is not known");
    assert.equal(new Returnable(anOrder("tea:2:1000", []), []).isDelivered, false);
  });

  it("is told line by line, also when two lines have the same article at two prices", () => {
    const order = anOrder("tea:2:1000 cup:1:500 tea:1:900", [parcel("delivered", 3400n, "cup:1 tea:3")]);
    const returnable = new Returnable(order, []);
    assert.deepEqual(
      [1, 2, 3, 4].map((line) => returnable.askable(line)),
      [2, 1, 1, 0],
    );
    assert.deepEqual(
      returnable
        .price([
          { lineNumber: 3, quantity: 1 },
          { lineNumber: 1, quantity: 1 },
        ])
        .map(({ amount }) => amount),
      [900n, 1000n],
    );
    assert.deepEqual([returnable.skuOf(3), returnable.skuOf(4)], ["tea", undefined]);
  });
});

describe("shipping", () => {
  const fee = (amount: bigint): Adjustment => ({ kind: "shipping", name: "Post", amount, included: false });

  it("is told apart: what of a piece's price is for it", () => {
    const prices = { adjustments: [fee(500n)], lineAdjustments: [[], [fee(300n)]], lineAmounts: [2250n, 2050n] };
    const order = anOrder("tea:2:1000 sofa:1:1500", [parcel("delivered", 4300n, "tea:2 sofa:1")], prices);
    const priced = new Returnable({ ...order, total: { currency: "EUR", amount: 4300n } }, []).price([
      { lineNumber: 1, quantity: 1 },
      { lineNumber: 2, quantity: 1 },
    ]);
    assert.deepEqual(
      priced.map(({ amount, shipping }) => [amount, shipping]),
      [
        [1125n, 140n],
        [2050n, 519n],
      ],
    );
  });

  it("of an order that is free for its discount costs nothing", () => {
    const free: Adjustment = { kind: "discount", name: "Free", amount: -1500n, included: false };
    const prices = { adjustments: [fee(500n), free], lineAdjustments: [[]], lineAmounts: [0n] };
    const order = anOrder("tea:1:1000", [parcel("delivered", 0n, "tea:1")], prices);
    const [priced] = new Returnable({ ...order, total: { currency: "EUR", amount: 0n } }, []).price([
      { lineNumber: 1, quantity: 1 },
    ]);
    assert.deepEqual([priced?.amount, priced?.shipping], [0n, 0n]);
  });
});

/** A whole number from 0 on, below another one. */
type Chance = (below: number) => number;

describe("what is paid for what comes back", () => {
  for (const currency of ["JPY", "EUR", "BHD"]) {
    it(`sums to exactly what was charged for it, in ${currency}, however it comes`, () => {
      const life = fc.property(fc.gen(), (g) => {
        oneLife((below) => (below > 0 ? g(fc.nat, { max: below - 1 }) : 0), currency);
      });
      fc.assert(life, { numRuns: 300 });
    });
  }
});

/** An order of chance is split, arrives parcel by parcel, and comes back piece by piece meanwhile. */
function oneLife(chance: Chance, currency: string): void {
  const unit = { JPY: 1n, EUR: 100n, BHD: 1000n }[currency] ?? 1n;
  const money = (amount: bigint) => ({ currency, amount });
  const priced = Array.from({ length: 1 + chance(4) }, () => ({
    sku: ["tea", "cup", "pot"][chance(3)] ?? "tea",
    quantity: 1 + chance(7),
    unitPrice: money(BigInt(chance(2_000)) * unit + BigInt(chance(Number(unit)))),
    adjustments: chance(2)
      ? [{ kind: "tax" as const, name: "VAT", amount: money(BigInt(chance(99))), included: false }]
      : [],
  }));
  const adjustments = chance(2)
    ? [{ kind: "shipping" as const, name: "Post", amount: money(BigInt(chance(999))), included: false }]
    : [];
  const sum = [...priced.flatMap((line) => line.adjustments), ...adjustments].reduce(
    (all, { amount }) => all + amount.amount,
    priced.reduce((all, { quantity, unitPrice }) => all + BigInt(quantity) * unitPrice.amount, 0n),
  );
  const { total, prices } = priceOf({ lines: priced, adjustments, total: money(sum) });
  const lines = priced.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice: unitPrice.amount }));
  const shipments = splitOf({ lines, prices, total }, chance);
  const returns: Known[] = [];
  const paid = new Map<number, bigint>();
  for (let step = 0; step < 200; step++) {
    const open = shipments.filter(({ status }) => status === "shipped");
    const arriving = open[chance(open.length)];
    if (arriving && chance(4) === 0) {
      shipments[shipments.indexOf(arriving)] = { ...arriving, status: "delivered" };
      continue;
    }
    const returnable = new Returnable({ lines, prices, total, shipments }, returns);
    const lineNumber = 1 + chance(lines.length);
    const left = returnable.comeable(lineNumber);
    assert.ok(returnable.askable(lineNumber) <= left);
    if (left === 0) continue;
    const [price] = returnable.price([{ lineNumber, quantity: 1 + chance(left) }]);
    assert.ok(price && price.amount >= 0n && price.shipping >= 0n && price.shipping <= price.amount);
    paid.set(lineNumber, (paid.get(lineNumber) ?? 0n) + price.amount);
    returns.push(known("received", lineNumber, price.quantity, price.amount));
  }
  const came = (lineNumber: number) =>
    returns
      .flatMap((each) => each.lines)
      .reduce((all, line) => (line.lineNumber === lineNumber ? all + line.received : all), 0);
  for (const [index, { quantity, unitPrice }] of lines.entries()) {
    if (came(index + 1) < quantity) continue;
    const charged = prices?.lineAmounts[index] ?? unitPrice * BigInt(quantity);
    assert.equal(paid.get(index + 1), charged);
  }
  const all = [...paid.values()].reduce((sum, amount) => sum + amount, 0n);
  assert.ok(all <= total.amount, `${all} of ${total.amount}`);
}

/** Parcels of chance, each with its exact part of the total, as the worker plans them. */
function splitOf(order: Omit<DeliveredOrder, "shipments">, chance: Chance): OrderShipment[] {
  const holds = new Map<string, Map<string, number>>();
  for (const { sku, quantity } of order.lines) {
    for (let piece = 0; piece < quantity; piece++) {
      const location = `l${chance(3)}`;
      const own = holds.get(location) ?? new Map<string, number>();
      holds.set(location, own.set(sku, (own.get(sku) ?? 0) + 1));
    }
  }
  const allotment = new Allotment(
    order.lines.map(({ sku, quantity, unitPrice }, index) => ({
      key: sku,
      quantity,
      amount: Number(order.prices?.lineAmounts[index] ?? unitPrice * BigInt(quantity)),
    })),
  );
  return [...holds].map(([locationId, own]) => {
    const lines = [...own].map(([sku, quantity]) => ({ sku, quantity }));
    const amount = lines.reduce((sum, { sku, quantity }) => sum + amountOf(allotment.take(sku, quantity)), 0);
    const money = { currency: order.total.currency, amount: BigInt(amount) };
    return {
      ...nothingElse,
      locationId,
      shipmentId: "",
      status: "shipped" as const,
      amount: money,
      trackingNumber: "",
      lines,
    };
  });
}
