import assert from "node:assert/strict";
import { it } from "node:test";
import { allocate } from "../src/allocation.ts";
import type { Level, Line, Part } from "../src/stock.ts";

const at = new Date(0);

/** `a@1:5` is five of a at location 1; `a@1:5-2` the same with two set aside. */
function levels(text: string): Level[] {
  return text.split(" ").map((item) => {
    const [, sku = "", locationId = "", onHand = "0", reserved = "0"] =
      /^(\w+)@(\w+):(\d+)(?:-(\d+))?$/.exec(item) ?? [];
    return { sku, locationId, onHand: BigInt(onHand), reserved: BigInt(reserved), updateTime: at };
  });
}

function lines(text: string): Line[] {
  return text.split(" ").map((item) => {
    const [sku = "", quantity = "0"] = item.split(":");
    return { sku, quantity: BigInt(quantity) };
  });
}

function choose(order: string, stock: string): string {
  return allocate(lines(order), levels(stock))
    .map((share) => `${share.sku}@${share.locationId}:${share.quantity}`)
    .join(" ");
}

it("chooses the fewest locations, then the fewest parts, then the first by name", () => {
  const cases: [order: string, stock: string, chosen: string][] = [
    ["a:1", "a@1:5", "a@1:1"],
    ["a:1", "a@2:5 a@1:5", "a@1:1"],
    ["a:5", "a@1:4 a@2:5", "a@2:5"],
    ["a:5", "a@1:9-5 a@2:5", "a@2:5"],
    ["a:1 b:1", "a@1:9 b@2:9 a@3:1 b@3:1", "a@3:1 b@3:1"],
    ["a:6", "a@1:3 a@2:2 a@3:4", "a@1:2 a@3:4"],
    ["a:9 b:1", "a@1:5 a@2:4 b@3:1 a@3:4", "a@1:5 a@3:4 b@3:1"],
    ["a:10 b:10", "a@1:5 b@1:10 a@2:5 a@3:10", "a@3:10 b@1:10"],
    ["a:2 b:2 c:2", "a@1:2 b@2:2 c@3:2 a@4:2 b@4:2", "a@4:2 b@4:2 c@3:2"],
  ];
  for (const [order, stock, chosen] of cases) assert.equal(choose(order, stock), chosen, `${order} from ${stock}`);
});

it("refuses what nobody has and what nobody knows, with the facts", () => {
  assert.throws(() => choose("a:1 b:1", "a@1:1"), { reasonName: "UNKNOWN_SKU", metadata: { sku: "b" } });
  assert.throws(() => choose("a:6", "a@1:4-1 a@2:2"), {
    reasonName: "OUT_OF_STOCK",
    metadata: { sku: "a", requested: "6", available: "5" },
  });
  assert.throws(() => choose("a:1", "a@1:0"), { reasonName: "OUT_OF_STOCK" });
});

it("takes an order from as many locations as it may have parcels, and refuses one more", () => {
  const stock = (locations: number) => Array.from({ length: locations }, (_, index) => `a@l${index}:1`).join(" ");
  assert.equal(choose("a:100", stock(101)).split(" ").length, 100);
  assert.throws(() => choose("a:101", stock(101)), {
    reasonName: "TOO_MANY_LOCATIONS",
    metadata: { locations: "101", parts: "101" },
  });
  assert.equal(choose("a:101", `${stock(101)} a@z:2`).split(" ").length, 100);
});

it("takes an order in as many parts as it may have, and refuses one more", () => {
  // Ten articles of which each location has one: twenty pieces come from twenty locations.
  const skus = Array.from({ length: 10 }, (_, index) => `s${index}`);
  const stock = skus.flatMap((sku) => Array.from({ length: 21 }, (_, index) => `${sku}@l${index}:1`)).join(" ");
  const order = (last: number) => skus.map((sku, index) => `${sku}:${index === 9 ? last : 20}`).join(" ");
  assert.equal(choose(order(20), stock).split(" ").length, 200);
  assert.throws(() => choose(order(21), stock), {
    reasonName: "TOO_MANY_LOCATIONS",
    metadata: { locations: "21", parts: "201" },
  });
});

it("chooses among ten locations and a hundred lines with bounded work", () => {
  const skus = Array.from({ length: 100 }, (_, index) => `s${index}`);
  // Every location has one piece of each, and two are wanted: the first choice of two covers the order.
  const stock = skus.flatMap((sku) => Array.from({ length: 10 }, (_, index) => `${sku}@l${index}:1`)).join(" ");
  const order = skus.map((sku) => `${sku}:2`).join(" ");
  assert.equal(choose(order, stock).split(" ").length, 200);
});

it("chooses what a search through all choices does, part by part", () => {
  for (let seed = 1; seed <= 400; seed += 1) {
    const { order, stock } = randomCase(seed, 6);
    if (!isCoverable(order, stock)) continue;
    assert.deepEqual(allocate(order, stock), bestOfAll(order, stock), `seed ${seed}`);
  }
});

it("covers every order that can be covered, never with more than there is, and never with a location too many", () => {
  for (let seed = 1; seed <= 300; seed += 1) checkRandom(seed, 4);
});

it("covers the order also when there are too many locations to try every choice", () => {
  for (let seed = 1; seed <= 100; seed += 1) checkRandom(seed, 14);
});

function randomCase(seed: number, locations: number): { order: Line[]; stock: Level[] } {
  const random = numbers(seed);
  const skus = ["a", "b", "c"].slice(0, 1 + random(3));
  const stock: Level[] = skus.flatMap((sku) =>
    Array.from({ length: locations }, (_, index) => ({
      sku,
      locationId: `l${String(index).padStart(2, "0")}`,
      onHand: BigInt(random(6)),
      reserved: 0n,
      updateTime: at,
    })),
  );
  return { order: skus.map((sku) => ({ sku, quantity: BigInt(1 + random(8)) })), stock };
}

function isCoverable(order: readonly Line[], stock: readonly Level[]): boolean {
  const total = (sku: string) => stock.reduce((sum, level) => (level.sku === sku ? sum + level.onHand : sum), 0n);
  return order.every(({ sku, quantity }) => total(sku) >= quantity);
}

/**
 * What the words say: of all sets of locations that cover the order the smallest, of these that with the fewest parts, of these the
 * first by the names in it; a line comes whole from the first that has it all, else from those with most.
 */
function bestOfAll(order: readonly Line[], stock: readonly Level[]): Part[] {
  const names = [...new Set(stock.filter(({ onHand }) => onHand > 0n).map(({ locationId }) => locationId))].sort();
  const sets = Array.from({ length: 2 ** names.length }, (_, set) =>
    names.filter((_name, index) => set & (1 << index)),
  );
  const plans = sets
    .filter((chosen) =>
      isCoverable(
        order,
        stock.filter(({ locationId }) => chosen.includes(locationId)),
      ),
    )
    .map((chosen) => ({ chosen, shares: order.flatMap((line) => sharesOf(line, stock, chosen)) }));
  plans.sort(
    (a, b) =>
      a.chosen.length - b.chosen.length ||
      a.shares.length - b.shares.length ||
      (a.chosen.join(" ") < b.chosen.join(" ") ? -1 : 1),
  );
  return plans[0]?.shares ?? [];
}

function sharesOf({ sku, quantity }: Line, stock: readonly Level[], chosen: readonly string[]): Part[] {
  const own = stock.filter((level) => level.sku === sku && chosen.includes(level.locationId));
  const whole = own
    .filter(({ onHand }) => onHand >= quantity)
    .sort((a, b) => (a.locationId < b.locationId ? -1 : 1))[0];
  if (whole) return [{ sku, locationId: whole.locationId, quantity }];
  let open = quantity;
  const shares: Part[] = [];
  for (const { locationId, onHand } of own.toSorted(
    (a, b) => Number(b.onHand - a.onHand) || (a.locationId < b.locationId ? -1 : 1),
  )) {
    if (open === 0n) break;
    const [quantity = 0n] = [onHand, open].sort((a, b) => Number(a - b));
    shares.push({ sku, locationId, quantity });
    open -= quantity;
  }
  return shares.filter(({ quantity }) => quantity > 0n).sort((a, b) => (a.locationId < b.locationId ? -1 : 1));
}

function checkRandom(seed: number, locations: number): void {
  const { order, stock } = randomCase(seed, locations);
  if (!isCoverable(order, stock)) {
    assert.throws(() => allocate(order, stock), { reasonName: "OUT_OF_STOCK" });
    return;
  }
  const shares = allocate(order, stock);
  for (const { sku, quantity } of order) {
    const own = shares.filter((share) => share.sku === sku);
    assert.equal(
      own.reduce((sum, share) => sum + share.quantity, 0n),
      quantity,
    );
  }
  for (const share of shares) {
    const level = stock.find((each) => each.sku === share.sku && each.locationId === share.locationId);
    assert.ok(share.quantity > 0n && share.quantity <= (level?.onHand ?? 0n));
  }
  const used = new Set(shares.map((share) => share.locationId)).size;
  if (locations <= 10) assert.equal(used, fewestPossible(order, stock), `seed ${seed}`);
  assert.deepEqual(allocate(order, [...stock].reverse()), shares);
}

/** By trying all sets, as bits. */
function fewestPossible(order: Line[], stock: Level[]): number {
  const names = [...new Set(stock.map((level) => level.locationId))];
  let best = names.length;
  for (let set = 0; set < 2 ** names.length; set += 1) {
    const chosen = names.filter((_, index) => set & (1 << index));
    const has = (sku: string) =>
      stock.reduce(
        (sum, level) => (level.sku === sku && chosen.includes(level.locationId) ? sum + level.onHand : sum),
        0n,
      );
    if (order.every(({ sku, quantity }) => has(sku) >= quantity)) best = Math.min(best, chosen.length);
  }
  return best;
}

/** Repeatable numbers below a bound. */
function numbers(seed: number): (bound: number) => number {
  let state = seed * 7_919;
  return (bound) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % bound;
  };
}
