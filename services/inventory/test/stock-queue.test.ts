// Who waits for stock, within one batch of commands: what one of them does counts for the next.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InventoryError } from "../src/errors.ts";
import { isWaiting, type Level, type Line, type Reservation, type StockCommand } from "../src/stock.ts";
import { StockBook } from "../src/stock-book.ts";
import { emptyQueue, type QueueState } from "../src/stock-queue.ts";

const now = new Date("2026-12-01T12:00:00Z");
const level = (sku: string, onHand: bigint, reserved = 0n): Level => ({
  sku,
  locationId: "l1",
  onHand,
  reserved,
  updateTime: now,
});
const lines = (...wanted: [sku: string, quantity: number][]): Line[] =>
  wanted.map(([sku, quantity]) => ({ sku, quantity: BigInt(quantity) }));
const reserve = (orderId: string, wanted: Line[], waits = false): StockCommand => ({
  kind: "reserve",
  orderId,
  lines: wanted,
  holdMs: 60_000,
  waits,
});
const waits = (orderId: string, ...wanted: [string, number][]) => reserve(orderId, lines(...wanted), true);
const takes = (orderId: string, ...wanted: [string, number][]) => reserve(orderId, lines(...wanted));
const serve = (orderId: string): StockCommand => ({ kind: "serve", orderId, skus: [] });
const release = (orderId: string): StockCommand => ({ kind: "release", orderId });
const arrives = (sku: string, delta: number): StockCommand => ({
  kind: "adjust",
  sku,
  locationId: "l1",
  delta: BigInt(delta),
  reason: "delivery",
});

/** An order that waits since before. */
function waiting(orderId: string, place: bigint, ...wanted: [string, number][]): Reservation {
  const wait = { lines: lines(...wanted), holdMs: 60_000, since: now, place, served: false };
  return { orderId, allocations: [], expireTime: undefined, createTime: now, amendment: undefined, fence: 0, wait };
}

/** The queue as the database tells it of these. */
function queueOf(...reservations: Reservation[]): QueueState {
  const wished = reservations.flatMap(({ orderId, wait }) =>
    (wait?.lines ?? []).map((line) => ({ orderId, place: wait?.place ?? 0n, ...line })),
  );
  const sum = (some: typeof wished) => some.reduce((total, { quantity }) => total + quantity, 0n);
  const claimed = new Map([...Map.groupBy(wished, ({ sku }) => sku)].map(([sku, own]) => [sku, sum(own)]));
  const ahead = new Map(
    reservations.map(({ orderId }) => {
      const own = wished.filter((line) => line.orderId === orderId);
      const before = own.map(({ sku, place }) => {
        return [sku, sum(wished.filter((other) => other.sku === sku && other.place < place))] as const;
      });
      return [orderId, new Map(before)];
    }),
  );
  return { claimed, full: new Set(), ahead };
}

/** What each command was answered: what is set aside, "waits", "nothing", a level, or the refusal. */
function answers(book: StockBook, commands: StockCommand[]): string[] {
  return commands.map((command) => {
    try {
      if (command.kind === "adjust") return `${book.adjust(command).onHand}`;
      const reservation = book.apply(command);
      if (isWaiting(reservation)) return "waits";
      const open = reservation.allocations.filter(({ status }) => status === "held");
      return open.map(({ sku, quantity }) => `${sku}:${quantity}`).join(" ") || "nothing";
    } catch (error) {
      if (error instanceof InventoryError) return error.reasonName;
      throw error;
    }
  });
}

const first = waiting("A", 1n, ["a", 5]);
const second = waiting("B", 2n, ["a", 1]);

describe("commands of one batch, when orders wait", () => {
  const cases: [name: string, levels: Level[], present: Reservation[], commands: StockCommand[], expected: string[]][] =
    [
      [
        "who comes behind one that waits gets nothing of it",
        [level("a", 2n)],
        [],
        [waits("X", ["a", 3]), takes("Y", ["a", 1])],
        ["waits", "OUT_OF_STOCK"],
      ],
      [
        "who comes behind one that waits may wait as well",
        [level("a", 2n)],
        [],
        [waits("X", ["a", 3]), waits("Y", ["a", 1])],
        ["waits", "waits"],
      ],
      [
        "who comes before one that waits is not touched",
        [level("a", 2n)],
        [],
        [takes("Y", ["a", 1]), waits("X", ["a", 3])],
        ["a:1", "waits"],
      ],
      [
        "what a withdrawn one wanted is there for the next",
        [level("a", 2n)],
        [first],
        [release("A"), takes("Y", ["a", 2])],
        ["nothing", "a:2"],
      ],
      [
        "what is beyond what is waited for is there",
        [level("a", 7n)],
        [first],
        [takes("X", ["a", 3]), takes("Y", ["a", 2])],
        ["OUT_OF_STOCK", "a:2"],
      ],
      [
        "the second is not served before the first",
        [level("a", 4n)],
        [first, second],
        [serve("B"), serve("A")],
        ["OUT_OF_STOCK", "OUT_OF_STOCK"],
      ],
      [
        "both are served when there is enough, in any order",
        [level("a", 6n)],
        [first, second],
        [serve("B"), serve("A")],
        ["a:1", "a:5"],
      ],
      [
        "the second is served once the first is withdrawn",
        [level("a", 4n)],
        [first, second],
        [release("A"), serve("B")],
        ["nothing", "a:1"],
      ],
      [
        "the second is served once the first is",
        [level("a", 6n)],
        [first, second],
        [serve("A"), serve("B"), serve("B")],
        ["a:5", "a:1", "a:1"],
      ],
      [
        "what arrives counts at once",
        [level("a", 4n)],
        [first, second],
        [arrives("a", 1), serve("A"), serve("B")],
        ["5", "a:5", "OUT_OF_STOCK"],
      ],
      [
        "what is written off counts at once",
        [level("a", 5n)],
        [first],
        [arrives("a", -1), serve("A")],
        ["4", "OUT_OF_STOCK"],
      ],
      [
        "one that waits is asked again without having moved",
        [level("a", 4n)],
        [first],
        [waits("A", ["a", 5]), takes("A", ["a", 5]), waits("A", ["a", 4])],
        ["waits", "OUT_OF_STOCK", "ALREADY_RESERVED"],
      ],
      [
        "each article counts for itself",
        [level("a", 9n), level("b", 0n)],
        [waiting("A", 1n, ["a", 1], ["b", 1])],
        [takes("X", ["a", 8]), takes("Y", ["a", 1])],
        ["a:8", "OUT_OF_STOCK"],
      ],
    ];
  for (const [name, levels, reservations, commands, expected] of cases) {
    it(name, () => {
      const book = new StockBook({ levels, reservations, queue: queueOf(...reservations) }, now);
      assert.deepEqual(answers(book, commands), expected);
    });
  }

  it("refuse who would wait for an article that as many wait for as may", () => {
    const queue = { ...emptyQueue, claimed: new Map([["a", 9n]]), full: new Set(["a"]) };
    const book = new StockBook({ levels: [level("a", 1n), level("b", 0n)], reservations: [], queue }, now);
    assert.deepEqual(answers(book, [waits("X", ["a", 1]), waits("Y", ["b", 1])]), ["OUT_OF_STOCK", "waits"]);
  });

  it("serve, of any queue, exactly those for whom there is enough beyond what those before them want", () => {
    const random = numbers(20_261_201);
    for (let round = 0; round < 300; round += 1) {
      const skus = ["a", "b", "c"].slice(0, 1 + random(3));
      const levels = skus.map((sku) => level(sku, BigInt(random(25))));
      const queue = Array.from({ length: 8 }, (_, index) => {
        const wanted = skus.filter((_, at) => at === index % skus.length || random(3) === 0);
        return waiting(
          `O${index}`,
          BigInt(index + 1),
          ...wanted.map((sku) => [sku, 1 + random(6)] as [string, number]),
        );
      });
      const expected = byHand(levels, queue);
      const order = queue.map(({ orderId }) => serve(orderId));
      const shuffled = random(2) === 0 ? order : order.toReversed();
      const book = new StockBook({ levels, reservations: queue, queue: queueOf(...queue) }, now);
      const served = shuffled.filter((command) => !answers(book, [command])[0]?.includes("OUT_OF_STOCK"));
      const ids = served.map((command) => (command.kind === "serve" ? command.orderId : "")).sort();
      assert.deepEqual(ids, expected, `round ${round}`);
      for (const { after } of book.levels) assert.ok(after.reserved <= after.onHand);
    }
  });
});

/** One after the other, as a person would: what he who cannot be served yet wants is put to one side for him. */
function byHand(levels: readonly Level[], queue: readonly Reservation[]): string[] {
  const left = new Map(levels.map(({ sku, onHand }) => [sku, onHand]));
  const served: string[] = [];
  for (const { orderId, wait } of queue) {
    const wanted = wait?.lines ?? [];
    if (wanted.every(({ sku, quantity }) => (left.get(sku) ?? 0n) >= quantity)) served.push(orderId);
    for (const { sku, quantity } of wanted) left.set(sku, (left.get(sku) ?? 0n) - quantity);
  }
  return served.sort();
}

/** Numbers below a limit, the same ones each time. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
