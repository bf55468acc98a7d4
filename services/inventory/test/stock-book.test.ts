import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AllocationStatus, type Level, type Reservation, type StockCommand, transitions } from "../src/stock.ts";
import { StockBook } from "../src/stock-book.ts";

const now = new Date("2026-11-21T12:00:00Z");
const later = new Date("2026-11-21T12:15:00Z");
const before = new Date("2026-11-21T11:00:00Z");
const order = "01JD7R0000000000000000000A";

const level = (sku: string, locationId: string, onHand: bigint, reserved = 0n): Level => ({
  sku,
  locationId,
  onHand,
  reserved,
  updateTime: before,
});

/** A reservation of 2 a at l1 and 3 b at l2. */
function reservation(first: AllocationStatus, second = first, expireTime?: Date): Reservation {
  const allocations = [
    { sku: "a", locationId: "l1", quantity: 2n, status: first },
    { sku: "b", locationId: "l2", quantity: 3n, status: second },
  ];
  const isHeld = first === "held" || second === "held";
  const expires = isHeld ? (expireTime ?? later) : undefined;
  return { orderId: order, allocations, expireTime: expires, createTime: before, amendment: undefined, fence: 0 };
}

const lines = [
  { sku: "b", quantity: 1n },
  { sku: "a", quantity: 2n },
  { sku: "b", quantity: 2n },
];
const reserve: StockCommand = { kind: "reserve", orderId: order, lines, holdMs: 900_000 };
const confirm: StockCommand = { kind: "confirm", orderId: order };
const commit: StockCommand = { kind: "commit", orderId: order };
const commitFirst: StockCommand = { kind: "commit", orderId: order, locationId: "l1" };
const release: StockCommand = { kind: "release", orderId: order };
const releaseFirst: StockCommand = { kind: "release", orderId: order, locationId: "l1" };
const expire: StockCommand = { kind: "expire", orderId: order };

/** What became of it: the parts' statuses, or the refusal. */
function answer(book: StockBook, command: StockCommand): string {
  assert.ok(command.kind !== "adjust");
  const before = structuredClone([book.levels, book.reservations, book.movements]);
  try {
    return book
      .apply(command)
      .allocations.map(({ status }) => status)
      .join(" ");
  } catch (error) {
    assert.ok(error instanceof Error && "reasonName" in error, String(error));
    assert.deepEqual([book.levels, book.reservations, book.movements], before, "a refusal changes nothing");
    return String(error.reasonName);
  }
}

/** Levels on which `present` is set aside. */
function open(present?: Reservation, onHand: [bigint, bigint] = [10n, 10n]): StockBook {
  const reserved = (index: number) => {
    const part = present?.allocations[index];
    return part && (part.status === "held" || part.status === "confirmed") ? part.quantity : 0n;
  };
  const levels = [level("a", "l1", onHand[0], reserved(0)), level("b", "l2", onHand[1], reserved(1))];
  return new StockBook({ levels, reservations: present ? [present] : [] }, now);
}

const gone = reservation("released");
const tombstone: Reservation = {
  orderId: order,
  allocations: [],
  expireTime: undefined,
  createTime: before,
  amendment: undefined,
  fence: 0,
};
const cases: [
  present: Reservation | undefined,
  command: StockCommand,
  outcome: string,
  a: [bigint, bigint],
  b: [bigint, bigint],
][] = [
  [undefined, reserve, "held held", [10n, 2n], [10n, 3n]],
  [undefined, confirm, "RESERVATION_NOT_FOUND", [10n, 0n], [10n, 0n]],
  [undefined, commit, "RESERVATION_NOT_FOUND", [10n, 0n], [10n, 0n]],
  [undefined, release, "", [10n, 0n], [10n, 0n]],
  [tombstone, reserve, "RESERVATION_ENDED", [10n, 0n], [10n, 0n]],
  [tombstone, confirm, "RESERVATION_ENDED", [10n, 0n], [10n, 0n]],
  [tombstone, commit, "RESERVATION_ENDED", [10n, 0n], [10n, 0n]],
  [tombstone, release, "", [10n, 0n], [10n, 0n]],
  [reservation("held"), reserve, "held held", [10n, 2n], [10n, 3n]],
  [reservation("held"), confirm, "confirmed confirmed", [10n, 2n], [10n, 3n]],
  [reservation("held"), commit, "NOT_CONFIRMED", [10n, 2n], [10n, 3n]],
  [reservation("held"), release, "released released", [10n, 0n], [10n, 0n]],
  [reservation("held"), releaseFirst, "released held", [10n, 0n], [10n, 3n]],
  [reservation("held"), expire, "held held", [10n, 2n], [10n, 3n]],
  [reservation("held", "held", before), expire, "expired expired", [10n, 0n], [10n, 0n]],
  [reservation("held", "held", before), confirm, "confirmed confirmed", [10n, 2n], [10n, 3n]],
  [reservation("released", "held", before), expire, "released expired", [10n, 0n], [10n, 0n]],
  [reservation("confirmed"), reserve, "confirmed confirmed", [10n, 2n], [10n, 3n]],
  [reservation("confirmed"), confirm, "confirmed confirmed", [10n, 2n], [10n, 3n]],
  [reservation("confirmed"), commit, "committed committed", [8n, 0n], [7n, 0n]],
  [reservation("confirmed"), commitFirst, "committed confirmed", [8n, 0n], [10n, 3n]],
  [reservation("confirmed"), release, "released released", [10n, 0n], [10n, 0n]],
  [reservation("confirmed"), releaseFirst, "released confirmed", [10n, 0n], [10n, 3n]],
  [reservation("confirmed"), expire, "confirmed confirmed", [10n, 2n], [10n, 3n]],
  [reservation("committed", "confirmed"), commit, "committed committed", [10n, 0n], [7n, 0n]],
  [reservation("committed", "confirmed"), commitFirst, "RESERVATION_ENDED", [10n, 0n], [10n, 3n]],
  [reservation("committed", "confirmed"), release, "committed released", [10n, 0n], [10n, 0n]],
  [reservation("committed", "released"), reserve, "RESERVATION_ENDED", [10n, 0n], [10n, 0n]],
  [reservation("committed", "released"), commit, "RESERVATION_ENDED", [10n, 0n], [10n, 0n]],
  [reservation("committed"), release, "committed committed", [10n, 0n], [10n, 0n]],
  [reservation("committed"), confirm, "committed committed", [10n, 0n], [10n, 0n]],
  [reservation("committed", "released"), confirm, "committed released", [10n, 0n], [10n, 0n]],
  [gone, reserve, "RESERVATION_ENDED", [10n, 0n], [10n, 0n]],
  [gone, confirm, "RESERVATION_ENDED", [10n, 0n], [10n, 0n]],
  [gone, release, "released released", [10n, 0n], [10n, 0n]],
  [reservation("expired"), reserve, "held held", [10n, 2n], [10n, 3n]],
  [reservation("expired"), confirm, "confirmed confirmed", [10n, 2n], [10n, 3n]],
  [reservation("expired"), commit, "NOT_CONFIRMED", [10n, 0n], [10n, 0n]],
  [reservation("expired"), release, "released released", [10n, 0n], [10n, 0n]],
  [reservation("expired"), releaseFirst, "released expired", [10n, 0n], [10n, 0n]],
  [reservation("released", "expired"), confirm, "released confirmed", [10n, 0n], [10n, 3n]],
];

const commitElsewhere: StockCommand = { kind: "commit", orderId: order, locationId: "l9" };
const releaseElsewhere: StockCommand = { kind: "release", orderId: order, locationId: "l9" };
const calls = { confirm, commit, commitFirst, commitElsewhere, release, releaseFirst, releaseElsewhere };

/** The table in the comment of InventoryService, for an order of two parts; each call is made twice. */
const contract: [state: string, present: Reservation | undefined, answers: Record<keyof typeof calls, string>][] = [
  [
    "never reserved",
    undefined,
    {
      confirm: "RESERVATION_NOT_FOUND",
      commit: "RESERVATION_NOT_FOUND",
      commitFirst: "RESERVATION_NOT_FOUND",
      commitElsewhere: "RESERVATION_NOT_FOUND",
      release: "",
      releaseFirst: "RESERVATION_NOT_FOUND",
      releaseElsewhere: "RESERVATION_NOT_FOUND",
    },
  ],
  [
    "released before it was reserved",
    tombstone,
    {
      confirm: "RESERVATION_ENDED",
      commit: "RESERVATION_ENDED",
      commitFirst: "RESERVATION_PART_NOT_FOUND",
      commitElsewhere: "RESERVATION_PART_NOT_FOUND",
      release: "",
      releaseFirst: "RESERVATION_PART_NOT_FOUND",
      releaseElsewhere: "RESERVATION_PART_NOT_FOUND",
    },
  ],
  [
    "held",
    reservation("held"),
    {
      confirm: "confirmed confirmed",
      commit: "NOT_CONFIRMED",
      commitFirst: "NOT_CONFIRMED",
      commitElsewhere: "RESERVATION_PART_NOT_FOUND",
      release: "released released",
      releaseFirst: "released held",
      releaseElsewhere: "RESERVATION_PART_NOT_FOUND",
    },
  ],
  [
    "confirmed",
    reservation("confirmed"),
    {
      confirm: "confirmed confirmed",
      commit: "committed committed, then RESERVATION_ENDED",
      commitFirst: "committed confirmed, then RESERVATION_ENDED",
      commitElsewhere: "RESERVATION_PART_NOT_FOUND",
      release: "released released",
      releaseFirst: "released confirmed",
      releaseElsewhere: "RESERVATION_PART_NOT_FOUND",
    },
  ],
  [
    "committed",
    reservation("committed"),
    {
      confirm: "committed committed",
      commit: "RESERVATION_ENDED",
      commitFirst: "RESERVATION_ENDED",
      commitElsewhere: "RESERVATION_PART_NOT_FOUND",
      release: "committed committed",
      releaseFirst: "RESERVATION_ENDED",
      releaseElsewhere: "RESERVATION_PART_NOT_FOUND",
    },
  ],
  [
    "released",
    gone,
    {
      confirm: "RESERVATION_ENDED",
      commit: "RESERVATION_ENDED",
      commitFirst: "RESERVATION_ENDED",
      commitElsewhere: "RESERVATION_PART_NOT_FOUND",
      release: "released released",
      releaseFirst: "released released",
      releaseElsewhere: "RESERVATION_PART_NOT_FOUND",
    },
  ],
  [
    "expired",
    reservation("expired"),
    {
      confirm: "confirmed confirmed",
      commit: "NOT_CONFIRMED",
      commitFirst: "NOT_CONFIRMED",
      commitElsewhere: "RESERVATION_PART_NOT_FOUND",
      release: "released released",
      releaseFirst: "released expired",
      releaseElsewhere: "RESERVATION_PART_NOT_FOUND",
    },
  ],
];

describe("stock book", () => {
  it("answers each call in each state as the contract's table says, and the same when it is repeated", () => {
    for (const [state, present, answers] of contract) {
      for (const name of Object.keys(calls) as (keyof typeof calls)[]) {
        const [expected, repeated = expected] = answers[name].split(", then ");
        const book = open(present);
        assert.equal(answer(book, calls[name]), expected, `${name} when ${state}`);
        assert.equal(answer(book, calls[name]), repeated, `${name} again when ${state}`);
      }
    }
  });

  it("takes an expired hold again from where it was, else from elsewhere, and says which", () => {
    const cases: [free: bigint, elsewhere: bigint, expected: string][] = [
      [2n, 9n, "a@l1:2 b@l2:3"],
      [1n, 9n, "a@l0:2 b@l2:3"],
      [1n, 1n, "a@l0:1 a@l1:1 b@l2:3"],
    ];
    for (const [free, elsewhere, expected] of cases) {
      const levels = [level("a", "l0", elsewhere), level("a", "l1", 9n, 9n - free), level("b", "l2", 3n)];
      const book = new StockBook({ levels, reservations: [reservation("expired")] }, now);
      assert.ok(confirm.kind === "confirm");
      const { allocations } = book.apply(confirm);
      assert.equal(allocations.map((part) => `${part.sku}@${part.locationId}:${part.quantity}`).join(" "), expected);
      assert.ok(allocations.every(({ status }) => status === "confirmed"));
      assert.deepEqual(book.apply(confirm).allocations, allocations, "a repetition moves nothing");
    }
  });

  it("does what each command says in each state", () => {
    for (const [present, command, expected, a, b] of cases) {
      const book = open(present);
      const what = `${command.kind} when ${present?.allocations.map(({ status }) => status) ?? "unknown"}`;
      assert.equal(answer(book, command), expected, what);
      const after = new Map(book.levels.map((change) => [change.after.sku, change.after]));
      const balances = open(present).levels.length === 0 ? open(present) : book;
      assert.ok(balances);
      const start = { a: 10n, b: 10n };
      for (const [sku, [onHand, reserved]] of [
        ["a", a],
        ["b", b],
      ] as const) {
        const now = after.get(sku);
        const deltas = book.movements.filter((movement) => movement.sku === sku);
        assert.equal(start[sku] + deltas.reduce((sum, movement) => sum + movement.onHandDelta, 0n), onHand, what);
        if (now) assert.deepEqual([now.onHand, now.reserved], [onHand, reserved], what);
        else assert.equal(deltas.length, 0, what);
      }
    }
  });

  it("moves parts only along the table", () => {
    const seen = new Set<string>();
    for (const [present, command] of cases) {
      const book = open(present);
      answer(book, command);
      for (const { before, after } of book.reservations) {
        for (const [index, part] of after.allocations.entries()) {
          const from = before?.allocations[index]?.status;
          const isTakenAgain = from === "expired" && part.status !== "released";
          if (from && !isTakenAgain && from !== part.status) seen.add(`${from} ${part.status}`);
        }
      }
    }
    const table = Object.entries(transitions).flatMap(([from, to]) => to.map((status) => `${from} ${status}`));
    assert.deepEqual([...seen].sort(), table.sort());
  });

  it("says when a hold ends, and starts the time anew when it is reserved again after its end", () => {
    const first = open();
    answer(first, reserve);
    assert.deepEqual(first.reservations[0]?.after.expireTime, later);
    const again = open(reservation("held", "held", before));
    answer(again, reserve);
    assert.deepEqual(again.reservations[0]?.after.expireTime, later);
    const confirmed = open(reservation("held"));
    answer(confirmed, confirm);
    assert.equal(confirmed.reservations[0]?.after.expireTime, undefined);
  });

  it("refuses an order with other lines than its reservation, and a late confirmation whose stock is gone", () => {
    const other: StockCommand = { ...reserve, lines: [{ sku: "a", quantity: 2n }] };
    assert.equal(answer(open(reservation("held")), other), "ALREADY_RESERVED");
    const book = open(reservation("expired"), [10n, 2n]);
    assert.ok(confirm.kind === "confirm");
    const metadata = { order_id: order, sku: "b", cause: "OUT_OF_STOCK" };
    assert.throws(() => book.apply(confirm), { reasonName: "HOLD_EXPIRED", metadata });
  });

  it("sets aside all lines or none, and lets the next order of the batch have what is left", () => {
    const book = new StockBook({ levels: [level("a", "l1", 3n), level("b", "l1", 1n)], reservations: [] }, now);
    assert.equal(answer(book, reserve), "OUT_OF_STOCK");
    assert.equal(answer(book, { ...reserve, lines: [{ sku: "a", quantity: 2n }] }), "held");
    const next: StockCommand = {
      ...reserve,
      orderId: "01JD7R0000000000000000000B",
      lines: [{ sku: "a", quantity: 2n }],
    };
    assert.throws(() => book.apply(next), { reasonName: "OUT_OF_STOCK" });
  });

  it("adjusts, never below what is set aside", () => {
    const book = new StockBook({ levels: [level("a", "l1", 5n, 3n)], reservations: [] }, now);
    const by = (delta: bigint, locationId = "l1") =>
      book.adjust({ kind: "adjust", sku: "a", locationId, delta, reason: "count" });
    assert.equal(by(-2n).onHand, 3n);
    assert.throws(() => by(-1n), {
      reasonName: "BELOW_RESERVED",
      metadata: { sku: "a", location_id: "l1", on_hand: "3", reserved: "3" },
    });
    assert.equal(by(7n, "new").onHand, 7n);
    assert.throws(() => by(-1n, "never"), { reasonName: "BELOW_RESERVED" });
    assert.deepEqual(
      book.movements.map((movement) => [movement.kind, movement.onHandDelta, movement.reason]),
      [
        ["adjustment", -2n, "count"],
        ["adjustment", 7n, "count"],
      ],
    );
  });
});
