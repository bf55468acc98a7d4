import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Charge, ParcelState } from "../../src/workflows/order-state.ts";
import { divide, divideLoss, remembered } from "../../src/workflows/repayments.ts";

function parcel(stage: ParcelState["stage"], amount: number, charges?: Charge[]): ParcelState {
  return { locationId: "BER", shipmentId: "s", trackingNumber: "", stage, amount, ...(charges && { charges }) };
}

const of = (payment: number, amount: number): Charge => ({ payment, amount });
const back = (returnId: string, amount: number) => ({ returnId, amount, parts: [] });
const two = [parcel("DELIVERED", 4_500, [of(0, 2_500), of(1, 2_000)])];
const done = { isRepaid: true, isComplete: true };

describe("what returns are paid back from", () => {
  for (const { what, parcels = two, before, returns, divided } of [
    { what: "the first payment", returns: [back("a", 2_000)], divided: { a: [of(0, 2_000)] } },
    { what: "the next one for the rest", returns: [back("a", 3_000)], divided: { a: [of(0, 2_500), of(1, 500)] } },
    {
      what: "what others of the same moment leave",
      returns: [back("a", 2_000), back("b", 1_000)],
      divided: { a: [of(0, 2_000)], b: [of(0, 500), of(1, 500)] },
    },
    {
      what: "what was paid before leaves",
      before: { done: [of(0, 2_500), of(1, 500)] },
      returns: [back("a", 1_000)],
      divided: { a: [of(1, 1_000)] },
    },
    {
      what: "what it was begun with, whatever else has come",
      before: { done: [], underWay: { b: [of(0, 2_500), of(1, 500)] } },
      returns: [back("a", 1_000), back("b", 3_000)],
      divided: { a: [of(1, 1_000)], b: [of(0, 2_500), of(1, 500)] },
    },
    {
      what: "the first one when there is not enough, which refuses it",
      returns: [back("a", 5_000)],
      divided: { a: [of(0, 3_000), of(1, 2_000)] },
    },
    {
      what: "not what a lost parcel has cost",
      parcels: [parcel("LOST", 1_000, [of(0, 1_000)]), parcel("DELIVERED", 1_000, [of(0, 500), of(1, 500)])],
      returns: [back("a", 1_000)],
      divided: { a: [of(0, 500), of(1, 500)] },
    },
    {
      what: "not what a parcel is about to be paid back from",
      parcels: [{ ...parcel("SHIPPED", 1_000, [of(0, 1_000)]), refunds: [of(0, 900)] }, ...two],
      returns: [back("a", 3_000)],
      divided: { a: [of(0, 2_600), of(1, 400)] },
    },
    { what: "nothing for what is worth nothing", returns: [back("a", 0)], divided: { a: [] } },
  ]) {
    it(`is ${what}`, () => {
      assert.deepEqual(Object.fromEntries(divide(returns, { parcels, before })), divided);
    });
  }

  it("is remembered of what is through, and of what is not; of one payment nothing is", () => {
    const before = { done: [of(0, 1_000)] };
    const returns = [
      { returnId: "a", charges: [of(0, 1_500), of(1, 100)], ...done },
      { returnId: "b", charges: [of(1, 200)], isRepaid: true, isComplete: false },
    ];
    assert.deepEqual(remembered(returns, { parcels: two, before }), {
      done: [of(0, 2_500), of(1, 100)],
      underWay: { b: [of(1, 200)] },
    });
    assert.equal(remembered(returns, { parcels: [parcel("DELIVERED", 2_500)], before: undefined }), undefined);
  });

  it("is left when nobody approved that it is paid", () => {
    const refused = { returnId: "a", charges: [of(0, 1_500)], isRepaid: false, isComplete: true };
    assert.deepEqual(remembered([refused], { parcels: two, before: undefined }), { done: [] });
  });
});

describe("what a parcel that is lost is paid back from", () => {
  const lost = parcel("SHIPPED", 1_000, [of(0, 600), of(1, 400)]);
  const arrived = parcel("DELIVERED", 1_500, [of(0, 900), of(1, 600)]);
  for (const { what, given = lost, refund, before, underWay = [], charges } of [
    { what: "the only payment", given: parcel("SHIPPED", 1_000), refund: 700, charges: [of(0, 700)] },
    { what: "those that it was charged to", refund: 1_000, charges: [of(0, 600), of(1, 400)] },
    { what: "the first of them when there is less to pay", refund: 500, charges: [of(0, 500)] },
    {
      what: "others where these have been paid back already",
      refund: 1_000,
      before: { done: [of(0, 1_400)] },
      charges: [of(0, 100), of(1, 900)],
    },
    {
      what: "what is left by that which is under way since before",
      refund: 1_000,
      before: { done: [], underWay: { a: [of(0, 1_500)] } },
      charges: [of(1, 1_000)],
    },
    {
      what: "what is left by that which has come in the same moment",
      refund: 1_000,
      underWay: [[of(0, 1_200)]],
      charges: [of(0, 300), of(1, 700)],
    },
    { what: "nothing when nothing is to be paid", refund: 0, charges: [] },
  ]) {
    it(`is ${what}`, () => {
      const parcels = [given, arrived];
      assert.deepEqual(divideLoss({ parcel: given, refund }, { parcels, before, underWay }), charges);
    });
  }
});
