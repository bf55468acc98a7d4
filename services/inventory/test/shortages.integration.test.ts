// Orders that get what is there: it is decided once, and never more is promised than there is.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import pg from "pg";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import type { Database } from "#platform/database/database.ts";
import { newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { isWaiting, type Reservation } from "../src/stock.ts";
import {
  connect,
  inventoryDatabase,
  inventoryOn,
  levels,
  minute,
  missingOf,
  openReplica,
  pass,
  requireExplained,
  Shop,
  show,
} from "./harness.ts";

let test: TestDatabase;
let database: Database;
let shop: Shop;
before(async () => {
  test = await inventoryDatabase();
  database = test.database;
});
after(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  const admin = new pg.Client({ connectionString: test.adminUrl });
  await admin.connect();
  await admin.query(
    "truncate stock_level, reservation, stock_movement, idempotency_key, back_order_line, back_order_news, audit_event",
  );
  await admin.end();
  shop = new Shop(database);
});

/** How many pieces an order has. */
const pieces = ({ allocations }: Reservation) => allocations.reduce((sum, { quantity }) => sum + quantity, 0n);

describe("an order that gets what is there", () => {
  it("gets all of it when there is enough, and nothing is missing", async () => {
    await shop.deliver("a", "l1:1", "l2:2");
    const reservation = await shop.part("a:3");
    assert.deepEqual([show(reservation), missingOf(reservation)], ["a@l1:1 held, a@l2:2 held", ""]);
  });

  it("gets of each article as many as there are, from wherever they lie", async () => {
    await shop.deliver("a", "l1:1", "l2:2");
    await shop.deliver("b", "l1:1");
    await shop.deliver("c", "l1:4");
    await shop.deliver("b", "l1:-1");
    const reservation = await shop.part("a:5 b:1 c:2");
    assert.equal(show(reservation), "a@l1:1 held, a@l2:2 held, c@l1:2 held");
    assert.equal(missingOf(reservation), "a:2 b:1");
    assert.equal(await levels(database), "a@l1 1/1, a@l2 2/2, b@l1 0/0, c@l1 4/2");
    await requireExplained(database);
    const log = await readAuditLog(database);
    assert.deepEqual(
      log.filter(({ action }) => action === "stock.missing").map(({ details }) => details),
      [{ a: "2", b: "1" }],
    );
  });

  it("is refused when nothing is there, and when nobody has ever had one of its articles", async () => {
    await shop.deliver("a", "l1:1");
    await shop.deliver("b", "l1:1");
    await shop.deliver("b", "l1:-1");
    await assert.rejects(shop.part("b:1"), { reasonName: "OUT_OF_STOCK" });
    await assert.rejects(shop.part("a:2 unknown:1"), { reasonName: "UNKNOWN_SKU" });
    // Nor does it wait for what never comes, whatever else is short.
    await assert.rejects(shop.wait("a:2 unknown:1"), { reasonName: "UNKNOWN_SKU" });
    assert.equal(await levels(database), "a@l1 1/0, b@l1 0/0");
  });

  it("gets the same however often it asks, whatever has come since, with its key or without", async () => {
    await shop.deliver("a", "l1:2");
    const orderId = newId();
    const first = await shop.part("a:3", { orderId, requestId: "r" });
    await shop.deliver("a", "l1:5");
    for (const requestId of ["r", undefined]) {
      const again = await shop.part("a:3", { orderId, ...(requestId && { requestId }) });
      assert.deepEqual([show(again), missingOf(again)], [show(first), "a:1"]);
    }
    await assert.rejects(shop.part("a:4", { orderId }), { reasonName: "ALREADY_RESERVED" });
    await assert.rejects(shop.part("a:2", { orderId }), { reasonName: "ALREADY_RESERVED" });
    const confirmed = await shop.do({ kind: "confirm", orderId });
    assert.deepEqual([show(confirmed), missingOf(confirmed)], ["a@l1:2 confirmed", "a:1"]);
  });

  it("gets the same also after its hold has ended, or nothing: never other pieces", async () => {
    await shop.deliver("a", "l1:2");
    const [one, two] = [newId(), newId()];
    await shop.part("a:3", { orderId: one });
    await pass(database, 20 * minute);
    assert.equal(await shop.stock.expire(), 1);
    await shop.deliver("a", "l2:5");
    const again = await shop.part("a:3", { orderId: one });
    assert.deepEqual([pieces(again), missingOf(again)], [2n, "a:1"]);
    const other = await shop.part("a:9", { orderId: two });
    assert.deepEqual([pieces(other), missingOf(other)], [5n, "a:4"]);
    await pass(database, 20 * minute);
    assert.equal(await shop.stock.expire(), 2);
    await shop.reserve("a:4");
    await assert.rejects(shop.part("a:9", { orderId: two }), { reasonName: "OUT_OF_STOCK" });
    await assert.rejects(shop.do({ kind: "confirm", orderId: two }), { reasonName: "HOLD_EXPIRED" });
    const confirmed = await shop.do({ kind: "confirm", orderId: one });
    assert.equal(confirmed.allocations.filter(({ status }) => status === "confirmed").length, 1);
    await requireExplained(database);
  });

  it("does not take what others wait for", async () => {
    await shop.deliver("a", "l1:4");
    assert.ok(isWaiting(await shop.wait("a:5")));
    await assert.rejects(shop.part("a:1"), { reasonName: "OUT_OF_STOCK" });
    await shop.deliver("b", "l1:3");
    const reservation = await shop.part("a:1 b:1");
    assert.deepEqual([show(reservation), missingOf(reservation)], ["b@l1:1 held", "a:1"]);
    await shop.deliver("a", "l1:3");
    await shop.stock.serve(undefined);
    assert.equal(missingOf(await shop.part("a:5")), "a:3");
  });

  it("finds what lies at very many locations", async () => {
    await shop.deliver("a", ...Array.from({ length: 60 }, (_, index) => `l${index}:1`));
    const reservation = await shop.part("a:61");
    assert.deepEqual([pieces(reservation), missingOf(reservation)], [60n, "a:1"]);
  });

  it("is released like any other, and does not come back", async () => {
    await shop.deliver("a", "l1:2");
    const orderId = newId();
    await shop.part("a:3", { orderId });
    await shop.do({ kind: "release", orderId });
    assert.equal(await levels(database), "a@l1 2/0");
    await assert.rejects(shop.part("a:3", { orderId }), { reasonName: "RESERVATION_ENDED" });
  });

  it("is asked for by the contract, and answered what is missing", async () => {
    await shop.deliver("a", "l1:1");
    const client = connect(inventoryOn(database));
    const wish = { requestId: "r", orderId: newId(), lines: [{ sku: "a", quantity: 2n }] };
    const shortagePolicy = ShortagePolicy.SHIP_AVAILABLE;
    const { reservation } = await client.reserveStock({ ...wish, shortagePolicy });
    assert.deepEqual(
      reservation?.missing.map(({ sku, quantity }) => [sku, quantity]),
      [["a", 1n]],
    );
    assert.equal(reservation?.allocations[0]?.quantity, 1n);
    const again = await client.reserveStock({ ...wish, shortagePolicy });
    assert.deepEqual(again.reservation, reservation);
  });
});

describe("the last pieces", () => {
  it("are each for exactly one of many who come at the same moment to several processes, and all of them are sold", async () => {
    const replicas = await Promise.all([1, 2, 3].map((each) => openReplica(test, `shortage-${each}`)));
    try {
      const shops = replicas.map((replica) => new Shop(replica));
      const on = (index: number) => shops[index % shops.length] as Shop;
      await shop.deliver("a", "l1:17", "l2:11");
      await shop.deliver("b", "l1:9");
      const wishes = Array.from({ length: 90 }, (_, index) => ({
        lines: index % 4 === 0 ? `a:${1 + (index % 3)} b:${1 + (index % 2)}` : `a:${1 + (index % 5)}`,
        orderId: newId(),
        kind: index % 5 === 3 ? ("reserve" as const) : ("part" as const),
      }));
      const answers = await Promise.all(
        wishes.map(async ({ lines, orderId, kind }, index) => {
          const ask = async (at: number) => {
            const own = on(at);
            return await (kind === "part"
              ? own.part(lines, { orderId, requestId: "r" })
              : own.reserve(lines, orderId, "r"));
          };
          // Some ask twice at once: they are one order.
          const asked = await Promise.allSettled(index % 3 === 0 ? [ask(index), ask(index + 1)] : [ask(index)]);
          const got = asked.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
          for (const each of asked)
            if (each.status === "rejected") assert.equal(each.reason.reasonName, "OUT_OF_STOCK");
          for (const each of got) assert.equal(show(each), show(got[0] as Reservation));
          return got[0];
        }),
      );
      const sold = answers.reduce((sum, answer) => sum + (answer ? pieces(answer) : 0n), 0n);
      assert.equal(sold, 17n + 11n + 9n);
      const [left] = await database.query<{ free: bigint }>(
        "select sum(on_hand - reserved)::bigint as free from stock_level",
      );
      assert.equal(left?.free, 0n);
      for (const [index, { lines, kind }] of wishes.entries()) {
        const answer = answers[index];
        if (!answer) continue;
        const asked = lines.split(" ").reduce((sum, item) => sum + BigInt(item.split(":")[1] ?? 0), 0n);
        const missing = (answer.missing ?? []).reduce((sum, { quantity }) => sum + quantity, 0n);
        assert.equal(pieces(answer) + missing, asked);
        if (kind === "reserve") assert.equal(missing, 0n);
      }
      await requireExplained(database);
    } finally {
      await Promise.all(replicas.map((replica) => replica.close()));
    }
  });
});
