// The money of an order, from its prices to its last return: orders computes, the worker splits, the books recompute.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Allotment, amountOf, type Lot } from "#platform/money/allotment.ts";
import { type PricedAdjustment, priceOf } from "../../orders/src/order/prices.ts";
import type { Allocation } from "../../worker/src/workflows/order/order-types.ts";
import { planParcels } from "../../worker/src/workflows/order/parcel-plan.ts";
import { nothingReturned } from "../src/balance/returns.ts";
import { faultOfShares, sharesOf } from "../src/balance/shares.ts";

const skus = ["cup", "pot", "tea"] as const;
const locations = ["BER", "HAM", "MUC", "PAR"] as const;

/** Small amounts, where each minor unit counts, and large ones. */
const amounts = fc.oneof(fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: 0n, max: 9_000_000_000n }));
const anyAdjustment = fc.record({
  kind: fc.constantFrom("shipping", "discount", "tax"),
  amount: amounts,
  included: fc.constant(false),
});
const anyAdjustments = fc.array(anyAdjustment, { maxLength: 3 });
const anyLine = fc.record({
  sku: fc.constantFrom(...skus),
  quantity: fc.integer({ min: 1, max: 12 }),
  unitPrice: amounts,
  adjustments: anyAdjustments,
});
const anyOrder = fc.record({
  currency: fc.constantFrom("JPY", "EUR", "BHD"),
  lines: fc.array(anyLine, { minLength: 1, maxLength: 6 }),
  adjustments: anyAdjustments,
});

type Given = typeof anyOrder extends fc.Arbitrary<infer Order> ? Order : never;

/** The order as orders takes it; undefined: it is refused, because something of it would cost less than nothing. */
function placed({ currency, ...given }: Given) {
  const toPriced = ({ kind, amount, included }: Given["adjustments"][number]): PricedAdjustment => ({
    kind,
    name: kind,
    amount: { currency, amount: kind === "discount" ? -amount : amount },
    included,
  });
  const lines = given.lines.map((line) => ({
    ...line,
    unitPrice: { currency, amount: line.unitPrice },
    adjustments: line.adjustments.map(toPriced),
  }));
  const adjustments = given.adjustments.map(toPriced);
  const more = [...adjustments, ...lines.flatMap((line) => line.adjustments)];
  const articles = lines.reduce((sum, line) => sum + line.unitPrice.amount * BigInt(line.quantity), 0n);
  const amount = more.reduce((sum, each) => sum + each.amount.amount, articles);
  try {
    const { total, prices } = priceOf({ lines, adjustments, total: { currency, amount } });
    return {
      total: { currency, amount: Number(total.amount) },
      lines: lines.map(({ sku, quantity, unitPrice }, index) => ({
        sku,
        quantity,
        unitPrice: Number(unitPrice.amount),
        ...(prices && { amount: Number(prices.lineAmounts[index]) }),
      })),
    };
  } catch {
    return undefined;
  }
}

type Placed = NonNullable<ReturnType<typeof placed>>;

/** Where its stock is, by chance, as inventory answers it: by article and location. */
function allocationsOf({ lines }: Placed, gen: fc.GeneratorValue): Allocation[] {
  return skus.flatMap((sku) => {
    const wanted = lines.reduce((sum, line) => (line.sku === sku ? sum + line.quantity : sum), 0);
    const at = new Map<string, number>();
    for (let piece = 0; piece < wanted; piece += 1) {
      const locationId = gen(fc.constantFrom, ...locations);
      at.set(locationId, (at.get(locationId) ?? 0) + 1);
    }
    const present = locations.filter((locationId) => at.has(locationId));
    return present.map((locationId) => ({ sku, locationId, quantity: at.get(locationId) ?? 0 }));
  });
}

function lotsOf({ lines }: Placed): Lot[] {
  return lines.map(({ sku, quantity, unitPrice, amount = quantity * unitPrice }) => ({ key: sku, quantity, amount }));
}

type Fate = "delivered" | "lost" | "dropped" | "returned";

/** What the payment of an order has come to. */
interface Ledger {
  held: number;
  captured: number;
  voided: number;
  refunded: number;
}

/** What can happen next to a parcel: each entry is one movement of money, which must follow the one before. */
function eventsOf(lots: readonly Lot[], fate: Fate, gen: fc.GeneratorValue): ((ledger: Ledger) => void)[] {
  const amount = amountOf(lots);
  const capture = (ledger: Ledger) => {
    ledger.held -= amount;
    ledger.captured += amount;
  };
  const refund = (part: number) => (ledger: Ledger) => {
    ledger.refunded += part;
  };
  if (fate === "delivered") return [capture];
  if (fate === "lost") return [capture, refund(amount)];
  if (fate === "dropped") {
    return [
      (ledger) => {
        ledger.held -= amount;
        ledger.voided += amount;
      },
    ];
  }
  const returning = new Allotment(lots);
  const pieces = lots.flatMap(({ key, quantity }) => Array<string>(quantity).fill(key));
  const returns = pieces.map((key) => () => refund(amountOf(returning.take(key, 1))));
  const shuffled = returns.map((take) => ({ take, place: gen(fc.nat) })).sort((a, b) => a.place - b.place);
  return [
    capture,
    ...shuffled.map(
      ({ take }) =>
        (ledger: Ledger) =>
          take()(ledger),
    ),
  ];
}

/** Lets everything happen, in an order of chance in which only the events of one parcel keep theirs. */
function play(
  total: number,
  queues: readonly (readonly ((ledger: Ledger) => void)[])[],
  gen: fc.GeneratorValue,
): Ledger {
  const ledger: Ledger = { held: total, captured: 0, voided: 0, refunded: 0 };
  const open = queues.map((queue) => [...queue]).filter((queue) => queue.length > 0);
  while (open.length > 0) {
    const index = gen(fc.nat, { max: open.length - 1 });
    open[index]?.shift()?.(ledger);
    assert.ok(Object.values(ledger).every((amount) => amount >= 0 && Number.isSafeInteger(amount)));
    assert.equal(ledger.held + ledger.captured + ledger.voided, total);
    assert.ok(ledger.refunded <= ledger.captured);
    if (open[index]?.length === 0) open.splice(index, 1);
  }
  return ledger;
}

describe("the money of any order", () => {
  it("is captured, voided and refunded to the last minor unit, whatever happens in whatever order", () => {
    fc.assert(
      fc.property(anyOrder, fc.gen(), (given, gen) => {
        const order = placed(given);
        fc.pre(order !== undefined);
        const { total } = order;
        const allocations = allocationsOf(order, gen);
        const parcels = planParcels(order, allocations);
        assert.equal(
          parcels.reduce((sum, { amount }) => sum + amount, 0),
          total.amount,
        );
        const allotment = new Allotment(lotsOf(order));
        const lots = new Map<string, Lot[]>();
        for (const { sku, locationId, quantity } of allocations) {
          lots.set(locationId, [...(lots.get(locationId) ?? []), ...allotment.take(sku, quantity)]);
        }
        const fates = parcels.map(() => gen(fc.constantFrom<Fate[]>, "delivered", "lost", "dropped", "returned"));
        const ended = (wanted: readonly Fate[]) =>
          parcels.reduce((sum, { amount }, index) => (wanted.includes(fates[index] as Fate) ? sum + amount : sum), 0);
        const expected = {
          held: 0,
          captured: ended(["delivered", "lost", "returned"]),
          voided: ended(["dropped"]),
          refunded: ended(["lost", "returned"]),
        };
        for (let time = 0; time < 2; time += 1) {
          const queues = parcels.map(({ locationId }, index) =>
            eventsOf(lots.get(locationId) ?? [], fates[index] as Fate, gen),
          );
          assert.deepEqual(play(total.amount, queues, gen), expected);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("is found right by the books, and found wrong when a minor unit is in another parcel", () => {
    fc.assert(
      fc.property(anyOrder, fc.gen(), (given, gen) => {
        const order = placed(given);
        fc.pre(order !== undefined);
        const promised = allocationsOf(order, gen);
        const parcels = planParcels(order, promised);
        const lots = lotsOf(order);
        const stock = { open: 0, left: new Map(), returned: new Map(), promised: promised.toReversed() };
        assert.deepEqual(
          new Map(parcels.map(({ locationId, amount }) => [locationId, amount])),
          sharesOf(lots, stock.promised),
        );
        const shipments = parcels.map(({ locationId, amount }) => ({
          locationId,
          status: "shipped",
          amount: `${amount}`,
        }));
        const total = BigInt(order.total.amount);
        const known = { orderId: "1", status: "delivered", imported: false } as const;
        const ended = { ...known, total, articles: {}, returned: nothingReturned, credit: 0n };
        assert.equal(faultOfShares({ ...ended, shipments, lots }, stock), undefined);
        const [first, second, ...others] = shipments;
        if (!first || !second || first.amount === "0") return;
        const moved = [
          { ...first, amount: `${Number(first.amount) - 1}` },
          { ...second, amount: `${Number(second.amount) + 1}` },
          ...others,
        ];
        assert.match(faultOfShares({ ...ended, shipments: moved, lots }, stock) ?? "", /its part of the total is/);
      }),
      { numRuns: 300 },
    );
  });
});
