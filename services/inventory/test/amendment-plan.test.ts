import assert from "node:assert/strict";
import { it } from "node:test";
import { newId } from "#platform/id.ts";
import { planAmendment } from "../src/amendment-plan.ts";
import { type Allocation, type AllocationStatus, byLevel, type Level, type Part, sumLines } from "../src/stock.ts";

const orderId = newId();

/** `a@1:5` is five of a at location 1; a letter behind it is where it stands: `a@1:5r` was released. */
function parts(text: string): Allocation[] {
  const statuses: Record<string, AllocationStatus> = {
    "": "confirmed",
    c: "committed",
    r: "released",
    h: "held",
    e: "expired",
  };
  return text
    .split(" ")
    .filter((item) => item !== "")
    .map((item) => {
      const [, sku = "", locationId = "", quantity = "0", status = ""] =
        /^(\w+)@(\w+):(\d+)([crhe]?)$/.exec(item) ?? [];
      return { sku, locationId, quantity: BigInt(quantity), status: statuses[status] ?? "confirmed" };
    });
}

/** What is free. */
function levels(text: string): Level[] {
  return parts(text).map(({ quantity: onHand, ...level }) => ({
    ...level,
    onHand,
    reserved: 0n,
    updateTime: new Date(0),
  }));
}

function show(changed: readonly Part[]): string {
  return changed.map(({ sku, locationId, quantity }) => `${sku}@${locationId}:${quantity}`).join(" ");
}

function plan(present: string, wanted: string, free = "", fixed: string[] = []): string {
  const lines = wanted.split(" ").map((item) => {
    const [sku = "", quantity = "0"] = item.split(":");
    return { sku, quantity: BigInt(quantity) };
  });
  const reservation = {
    orderId,
    allocations: parts(present).sort(byLevel),
    expireTime: undefined,
    createTime: new Date(0),
    amendment: undefined,
    fence: 0,
  };
  try {
    const wish = { wanted: sumLines(lines), fixed: new Set(fixed), levels: levels(free), claimed: () => 0n };
    const { taken, given } = planAmendment(reservation, wish);
    return `+${show(taken)} -${show(given)}`;
  } catch (error) {
    return (error as { reasonName?: string }).reasonName ?? String(error);
  }
}

const cases: [what: string, present: string, wanted: string, outcome: string, free?: string, fixed?: string[]][] = [
  ["nothing changes", "a@1:2 b@2:1", "a:2 b:1", "+ -"],
  ["less is given", "a@1:3", "a:1", "+ -a@1:2"],
  ["less is given from the smallest parts", "a@1:3 a@2:1 a@3:2", "a:3", "+ -a@2:1 a@3:2"],
  ["an article goes", "a@1:2 b@2:1", "a:2", "+ -b@2:1"],
  ["more is taken where some is already", "a@1:2", "a:4", "+a@1:2 -", "a@1:5 a@2:9"],
  ["more is taken where a parcel leaves from anyway", "a@1:2 b@2:1", "a:4 b:1", "+a@2:2 -", "a@1:0 a@2:2 a@3:9"],
  ["what those do not have comes from elsewhere", "a@1:2", "a:6", "+a@1:1 a@2:3 -", "a@1:1 a@2:3 a@3:3"],
  ["another article, where the other one was not", "a@1:1 b@2:1", "b:1 c:1", "+c@2:1 -a@1:1", "c@1:1 c@2:1"],
  ["too little is left", "a@1:2", "a:9", "OUT_OF_STOCK", "a@1:5"],
  ["nobody ever had it", "a@1:2", "a:2 z:1", "UNKNOWN_SKU", "a@1:5"],
  ["what has left is counted, and not given", "a@1:2c a@2:2", "a:3", "+ -a@2:1"],
  ["what has left is not given", "a@1:2c a@2:2", "a:1", "PART_FIXED"],
  ["no second parcel leaves from where one has", "a@1:2c b@2:1", "a:3 b:1", "OUT_OF_STOCK", "a@1:5"],
  ["a part that could not leave stays as it is", "a@1:2r a@2:2", "a:3", "+ -a@2:1"],
  ["nothing is changed where it is fixed", "a@1:2 a@2:2", "a:2", "+ -a@2:2", "", ["1"]],
  ["and not less than that is wanted", "a@1:2 a@2:2", "a:1", "PART_FIXED", "", ["1"]],
  ["and nothing is taken there", "a@1:2", "a:3", "+a@2:1 -", "a@1:5 a@2:1", ["1"]],
  ["it is not firm", "a@1:2h", "a:1", "NOT_CONFIRMED"],
  ["its hold is over", "a@1:2e", "a:1", "NOT_CONFIRMED"],
  ["all of it was given back", "a@1:2r", "a:1", "RESERVATION_ENDED"],
];
for (const [what, present, wanted, outcome, free, fixed] of cases) {
  it(`an amendment of a reservation: ${what}`, () => assert.equal(plan(present, wanted, free, fixed), outcome));
}

it("an amendment is not promised from more locations than an order is sent from", () => {
  const free = Array.from({ length: 101 }, (_, n) => `a@l${n}:1`).join(" ");
  assert.equal(plan("b@1:1", "a:101 b:1", free), "TOO_MANY_LOCATIONS");
});
