import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Adjust, Level, Line, StockCommand } from "../src/stock.ts";
import { auditOf } from "../src/stock-audit.ts";
import { StockBook } from "../src/stock-book.ts";

const start = Date.parse("2026-11-21T12:00:00Z");
const origin = { actor: "service:worker", requestId: "r", traceId: "" };
const order = "01JD000000000000000000000A";
const reserve = (...lines: Line[]): StockCommand => ({ kind: "reserve", orderId: order, lines, holdMs: 60_000 });
const line = (sku: string, quantity: bigint): Line => ({ sku, quantity });
const levels = [stocked("a", "l1", 5n), stocked("a", "l2", 5n), stocked("b", "l1", 9n)];

/** What is written for each command, one after the other: `stock.reserved a@l1=2`. */
function events(...commands: [StockCommand, afterMs?: number][]): string[] {
  const state = { levels: [...levels], reservations: [] as StockBook["reservations"][number]["after"][] };
  return commands.flatMap(([command, afterMs = 0]) => {
    const book = new StockBook(state, new Date(start + afterMs));
    if (command.kind === "adjust") book.adjust(command);
    else state.reservations = [book.apply(command)];
    state.levels = levels.map((level) => book.levels.find(({ after }) => same(after, level))?.after ?? level);
    const entries = auditOf([{ command, origin }], book);
    return entries.map(({ action, subject = "", details = {} }) =>
      [action, subject, ...Object.entries(details).map(([level, quantity]) => `${level}=${quantity}`)].join(" "),
    );
  });
}

describe("the audit of stock", () => {
  const cases: [name: string, commands: Parameters<typeof events>, expected: string[]][] = [
    [
      "an order from hold to shelf, location by location",
      [
        [reserve(line("a", 8n), line("b", 1n))],
        [{ kind: "confirm", orderId: order }],
        [{ kind: "commit", orderId: order, locationId: "l2" }],
        [{ kind: "release", orderId: order }],
      ],
      [
        "stock.reserved  a@l1=5 a@l2=3 b@l1=1",
        "stock.confirmed  a@l1=5 a@l2=3 b@l1=1",
        "stock.committed  a@l2=3",
        "stock.released  a@l1=5 b@l1=1",
      ],
    ],
    [
      "a command that changes nothing",
      [[reserve(line("b", 2n))], [reserve(line("b", 2n))], [{ kind: "expire", orderId: order }, 1]],
      ["stock.reserved  b@l1=2"],
    ],
    [
      "a hold that ended, is confirmed late, and released twice",
      [
        [reserve(line("b", 2n))],
        [{ kind: "expire", orderId: order }, 61_000],
        [{ kind: "confirm", orderId: order }, 62_000],
        [{ kind: "release", orderId: order }, 63_000],
        [{ kind: "release", orderId: order }, 64_000],
      ],
      [
        "stock.reserved  b@l1=2",
        "stock.expired  b@l1=2",
        "stock.reserved  b@l1=2",
        "stock.confirmed  b@l1=2",
        "stock.released  b@l1=2",
      ],
    ],
    [
      "a hold that ended and is released: its stock was given back before",
      [
        [reserve(line("b", 2n))],
        [{ kind: "expire", orderId: order }, 61_000],
        [{ kind: "release", orderId: order }, 62_000],
      ],
      ["stock.reserved  b@l1=2", "stock.expired  b@l1=2"],
    ],
    ["a release that comes first", [[{ kind: "release", orderId: order }]], []],
    ["an adjustment", [[adjust(-3n)]], ["stock.adjusted b@l1 b@l1=-3"]],
  ];
  for (const [name, commands, expected] of cases) {
    it(`says what happened: ${name}`, () => assert.deepEqual(events(...commands), expected));
  }

  it("keeps an event small, however many articles an order has", () => {
    const skus = Array.from({ length: 100 }, (_, index) => `${String(index).padStart(3, "0")}${"x".repeat(61)}`);
    const level = (sku: string) => stocked(sku, "y".repeat(64), 9n);
    const book = new StockBook({ levels: skus.map(level), reservations: [] }, new Date(start));
    const command = reserve(...skus.map((sku) => line(sku, 9n)));
    book.apply(command as Exclude<StockCommand, Adjust>);
    const entries = auditOf([{ command, origin }], book);
    assert.deepEqual(new Set(entries.map(({ action }) => action)), new Set(["stock.reserved"]));
    assert.equal(entries.flatMap(({ details = {} }) => Object.keys(details)).length, 100);
    for (const { details } of entries) assert.ok(JSON.stringify(details).length < 3_500);
  });
});

function adjust(delta: bigint): StockCommand {
  return { kind: "adjust", sku: "b", locationId: "l1", delta, reason: "count" };
}

function stocked(sku: string, locationId: string, onHand: bigint): Level {
  return { sku, locationId, onHand, reserved: 0n, updateTime: new Date(start) };
}

function same(one: Level, other: Level): boolean {
  return one.sku === other.sku && one.locationId === other.locationId;
}
