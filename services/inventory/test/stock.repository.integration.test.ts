import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import pg from "pg";
import type { Database } from "#platform/database/database.ts";
import { newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import {
  inventoryDatabase,
  keyOf,
  levels,
  minute,
  openReplica,
  pass,
  requireExplained,
  Shop,
  show,
  toLines,
} from "./harness.ts";

describe("stock repository", () => {
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
    await admin.query("truncate stock_level, reservation, stock_movement, idempotency_key");
    await admin.end();
    shop = new Shop(database);
  });

  it("takes an order from hold to shelf, location by location, and the ledger tells it", async () => {
    await shop.deliver("a", "l1:5", "l2:5");
    const orderId = newId();
    assert.equal(show(await shop.reserve("a:4 a:4", orderId)), "a@l1:5 held, a@l2:3 held");
    assert.equal(show(await shop.do({ kind: "confirm", orderId })), "a@l1:5 confirmed, a@l2:3 confirmed");
    assert.equal(
      show(await shop.do({ kind: "commit", orderId, locationId: "l1" })),
      "a@l1:5 committed, a@l2:3 confirmed",
    );
    assert.equal(
      show(await shop.do({ kind: "release", orderId, locationId: "l2" })),
      "a@l1:5 committed, a@l2:3 released",
    );
    assert.equal(await levels(database), "a@l1 0/0, a@l2 5/0");
    const rows = await database.query<{ kind: string; on_hand_delta: bigint; reserved_delta: bigint }>(
      "select kind, on_hand_delta, reserved_delta from stock_movement where order_id is not null order by movement_id",
    );
    assert.deepEqual(
      rows.map((row) => `${row.kind} ${row.on_hand_delta} ${row.reserved_delta}`),
      ["reservation 0 5", "reservation 0 3", "commit -5 -5", "release 0 -3"],
    );
    await requireExplained(database);
  });

  it("sets aside all lines or none", async () => {
    await shop.deliver("a", "l1:5");
    await shop.deliver("b", "l1:1");
    await assert.rejects(shop.reserve("a:1 b:2"), { reasonName: "OUT_OF_STOCK" });
    await assert.rejects(shop.reserve("a:1 c:1"), { reasonName: "UNKNOWN_SKU" });
    assert.equal(await levels(database), "a@l1 5/0, b@l1 1/0");
    assert.deepEqual(await database.query("select from reservation"), []);
  });

  describe("amends a reservation", () => {
    const amend = (orderId: string, number: number, lines: string) =>
      shop.do({ kind: "amend", orderId, number, lines: toLines(lines), fixed: new Set<string>() });
    const end = (orderId: string, number: number, accepted: boolean) =>
      shop.do({ kind: "end_amendment", orderId, number, accepted });

    async function firm(): Promise<string> {
      await shop.deliver("a", "l1:5", "l2:5");
      await shop.deliver("b", "l1:5");
      const orderId = newId();
      await shop.reserve("a:3 b:2", orderId);
      await shop.do({ kind: "confirm", orderId });
      return orderId;
    }

    it("by taking what comes at once, and giving what goes when it is decided", async () => {
      const orderId = await firm();
      const begun = await amend(orderId, 1, "a:4 b:1");
      assert.equal(show(begun), "a@l1:4 confirmed, b@l1:2 confirmed");
      assert.deepEqual(begun.amendment?.taken, [{ sku: "a", locationId: "l1", quantity: 1n }]);
      assert.equal(await levels(database), "a@l1 5/4, a@l2 5/0, b@l1 5/2");
      assert.equal(show(await end(orderId, 1, true)), "a@l1:4 confirmed, b@l1:1 confirmed");
      assert.equal(show(await end(orderId, 1, false)), "a@l1:4 confirmed, b@l1:1 confirmed", "it is over");
      assert.equal(await levels(database), "a@l1 5/4, a@l2 5/0, b@l1 5/1");
      await requireExplained(database);
    });

    it("and it is as before when it does not happen", async () => {
      const orderId = await firm();
      await amend(orderId, 1, "a:9");
      assert.equal(await levels(database), "a@l1 5/5, a@l2 5/4, b@l1 5/2");
      assert.equal(show(await end(orderId, 1, false)), "a@l1:3 confirmed, b@l1:2 confirmed");
      assert.equal(await levels(database), "a@l1 5/3, a@l2 5/0, b@l1 5/2");
      await assert.rejects(amend(orderId, 1, "a:9"), { reasonName: "AMENDMENT_ENDED" });
      assert.equal(show(await amend(orderId, 2, "a:1")), "a@l1:3 confirmed, b@l1:2 confirmed");
      assert.equal(show(await end(orderId, 2, true)), "a@l1:1 confirmed");
      await requireExplained(database);
    });

    it("one at a time, and none that was ended before it began", async () => {
      const orderId = await firm();
      await end(orderId, 1, false);
      await assert.rejects(amend(orderId, 1, "a:1"), { reasonName: "AMENDMENT_ENDED" });
      await amend(orderId, 2, "a:1");
      await assert.rejects(amend(orderId, 3, "a:2"), { reasonName: "AMENDMENT_ENDED" });
      await assert.rejects(end(newId(), 1, true), { reasonName: "RESERVATION_NOT_FOUND" });
    });

    it("all of it or nothing", async () => {
      const orderId = await firm();
      await assert.rejects(amend(orderId, 1, "a:4 b:9"), { reasonName: "OUT_OF_STOCK" });
      assert.equal(await levels(database), "a@l1 5/3, a@l2 5/0, b@l1 5/2");
    });

    it("that is released meanwhile: nothing is given back twice", async () => {
      const orderId = await firm();
      await amend(orderId, 1, "a:4");
      await shop.do({ kind: "release", orderId });
      await end(orderId, 1, false);
      assert.equal(await levels(database), "a@l1 5/0, a@l2 5/0, b@l1 5/0");
      await requireExplained(database);
    });

    it("whoever wants the same pieces at the same time", async () => {
      await shop.deliver("a", "l1:40");
      const orders = Array.from({ length: 20 }, () => newId());
      await Promise.all(orders.map((orderId) => shop.reserve("a:1", orderId)));
      await Promise.all(orders.map((orderId) => shop.do({ kind: "confirm", orderId })));
      const begun = await Promise.allSettled(orders.map((orderId) => amend(orderId, 1, "a:3")));
      assert.equal(begun.filter(({ status }) => status === "fulfilled").length, 10);
      assert.equal(await levels(database), "a@l1 40/40");
      await Promise.all(orders.map((orderId, index) => end(orderId, 1, index % 2 === 0)));
      await requireExplained(database);
    });
  });

  it("never promises more than there is, whatever the replicas do", async () => {
    await shop.deliver("hot", "l1:60", "l2:40");
    await shop.deliver("warm", "l1:70");
    const replicas = await Promise.all([1, 2, 3].map((each) => openReplica(test, `replica-${each}`)));
    const shops = replicas.map((replica) => new Shop(replica));
    const calls = Array.from({ length: 600 }, (_, index) =>
      (shops[index % 3] as Shop).reserve(index % 2 === 0 ? "hot:1" : "warm:1 hot:1"),
    );
    const results = await Promise.allSettled(calls);
    const refused = results.filter((result) => result.status === "rejected");
    assert.ok(
      refused.every((result) => result.reason.reasonName === "OUT_OF_STOCK"),
      String(refused[0]?.reason),
    );
    assert.equal(results.length - refused.length, 100);
    assert.match(await levels(database), /^hot@l1 60\/60, hot@l2 40\/40, /);
    await requireExplained(database);
    await Promise.all(replicas.map((replica) => replica.close()));
  });

  it("answers a repeated request with the first answer, even after things moved on", async () => {
    await shop.deliver("a", "l1:5");
    const orderId = newId();
    const first = await shop.reserve("a:2", orderId, "r1");
    await shop.do({ kind: "confirm", orderId }, "c1");
    assert.deepEqual(await shop.reserve("a:2", orderId, "r1"), first);
    const [one, two] = await Promise.all([
      shop.do({ kind: "release", orderId }, "x1"),
      shop.do({ kind: "release", orderId }, "x1"),
    ]);
    assert.deepEqual(one, two);
    assert.equal(await levels(database), "a@l1 5/0");
    const adjust = { kind: "adjust", sku: "a", locationId: "l1", delta: 1n, reason: "count" } as const;
    const level = await shop.stock.adjust(keyOf(adjust, "a1"), adjust);
    await shop.deliver("a", "l1:1");
    assert.deepEqual(await shop.stock.adjust(keyOf(adjust, "a1"), adjust), level);
    assert.equal(await levels(database), "a@l1 7/0");
  });

  it("refuses a used request id with another body, and judges a refused one anew", async () => {
    await shop.deliver("a", "l1:1");
    const orderId = newId();
    await assert.rejects(shop.reserve("a:2", orderId, "r1"), { reasonName: "OUT_OF_STOCK" });
    await shop.deliver("a", "l1:1");
    await shop.reserve("a:2", orderId, "r1");
    await assert.rejects(shop.reserve("a:1", orderId, "r1"), { reasonName: "REQUEST_ID_REUSED" });
    // Another order is another customer's, perhaps.
    await assert.rejects(shop.reserve("a:1", newId(), "r1"), { reasonName: "OUT_OF_STOCK" });
    await shop.do({ kind: "confirm", orderId }, "r1");
  });

  it("keeps one reservation for an order that several ask for at a time", async () => {
    await shop.deliver("a", "l1:10");
    const orderId = newId();
    const replica = await openReplica(test, "replica-1");
    const other = new Shop(replica);
    const all = await Promise.all(
      [1, 2, 3, 4].flatMap(() => [shop.reserve("a:2", orderId), other.reserve("a:2", orderId)]),
    );
    for (const reservation of all) assert.equal(show(reservation), "a@l1:2 held");
    assert.equal(await levels(database), "a@l1 10/2");
    await assert.rejects(shop.reserve("a:3", orderId), { reasonName: "ALREADY_RESERVED" });
    await replica.close();
  });

  it("remembers a release that overtook its reservation", async () => {
    await shop.deliver("a", "l1:10");
    const orderId = newId();
    assert.equal(show(await shop.do({ kind: "release", orderId })), "");
    await assert.rejects(shop.reserve("a:2", orderId), { reasonName: "RESERVATION_ENDED" });
    assert.equal(show(await shop.do({ kind: "release", orderId })), "");
    assert.equal(await levels(database), "a@l1 10/0");
  });

  it("remembers the release of a hold that had ended: nothing late takes its stock again", async () => {
    await shop.deliver("a", "l1:10");
    const orderId = newId();
    await shop.reserve("a:2", orderId);
    await pass(database, 20 * minute);
    assert.equal(await shop.stock.expire(), 1);
    assert.equal(show(await shop.do({ kind: "release", orderId })), "a@l1:2 released");
    await assert.rejects(shop.do({ kind: "confirm", orderId }), { reasonName: "RESERVATION_ENDED" });
    await assert.rejects(shop.reserve("a:2", orderId), { reasonName: "RESERVATION_ENDED" });
    assert.equal(await levels(database), "a@l1 10/0");
    await requireExplained(database);
  });

  it("ends holds when their time is over, and takes them again when they are confirmed late", async () => {
    await shop.deliver("a", "l1:2", "l2:2");
    const [early, late, firm] = [newId(), newId(), newId()];
    await shop.reserve("a:1", early);
    await shop.reserve("a:1", firm);
    await shop.do({ kind: "confirm", orderId: firm });
    await pass(database, 10 * minute);
    await shop.reserve("a:2", late);
    assert.equal(await shop.stock.expire(), 0);
    await pass(database, 10 * minute);
    assert.equal(await shop.stock.expire(), 1);
    assert.equal(await shop.stock.expire(), 0);
    assert.equal(await levels(database), "a@l1 2/1, a@l2 2/2");
    assert.equal(show(await shop.do({ kind: "confirm", orderId: early })), "a@l1:1 confirmed");
    await pass(database, 10 * minute);
    assert.equal(await shop.stock.expire(), 1);
    await shop.reserve("a:2");
    await assert.rejects(shop.do({ kind: "confirm", orderId: late }), { reasonName: "HOLD_EXPIRED" });
    await requireExplained(database);
  });

  it("reckons with the database's time, whatever a replica takes for the time", async (context) => {
    await shop.deliver("a", "l1:9");
    const fast = await openReplica(test, "replica-1");
    const other = new Shop(fast);
    for (const ahead of [24 * 60 * minute, -24 * 60 * minute]) {
      context.mock.timers.enable({ apis: ["Date"], now: Date.now() + ahead });
      const held = await other.reserve("a:1");
      assert.equal(await other.stock.expire(), 0);
      const [row] = await database.query<{ now: Date }>("select clock_timestamp()::timestamptz(3) as now");
      const lasts = (held.expireTime?.getTime() ?? 0) - (row?.now.getTime() ?? 0);
      assert.ok(lasts > 14 * minute && lasts <= 15 * minute, `it lasts ${lasts} ms`);
      await pass(database, 20 * minute);
      assert.equal(await other.stock.expire(), 1);
      context.mock.timers.reset();
    }
    await fast.close();
  });

  it("takes an expired order's stock from elsewhere when it is reserved again", async () => {
    await shop.deliver("a", "l1:2", "l2:2");
    const orderId = newId();
    await shop.reserve("a:2", orderId);
    await pass(database, 20 * minute);
    await shop.stock.expire();
    await shop.reserve("a:1");
    assert.equal(show(await shop.reserve("a:2", orderId)), "a@l2:2 held");
    assert.equal(await levels(database), "a@l1 2/1, a@l2 2/2");
    await requireExplained(database);
  });

  it("leaves nothing behind when the connection breaks in the middle, and the caller may repeat", async () => {
    await shop.deliver("a", "l1:10");
    const replica = await openReplica(test, "replica-1");
    const other = new Shop(replica);
    const blocker = new pg.Client({ connectionString: test.adminUrl });
    await blocker.connect();
    await blocker.query("begin; select from stock_level for update");
    const orders = Array.from({ length: 20 }, () => newId());
    const calls = orders.map((orderId) => other.reserve("a:1", orderId, orderId));
    const settled = Promise.allSettled(calls);
    await terminate(test.adminUrl, "replica-1");
    assert.ok((await settled).every((result) => result.status === "rejected"));
    await blocker.query("rollback");
    await blocker.end();
    assert.equal(await levels(database), "a@l1 10/0");
    const repeated = await Promise.allSettled(orders.map((orderId) => other.reserve("a:1", orderId, orderId)));
    assert.equal(repeated.filter((result) => result.status === "fulfilled").length, 10);
    await requireExplained(database);
    await replica.close();
  });

  it("makes new levels known at the same moment without losing any", async () => {
    const replica = await openReplica(test, "replica-1");
    const shops = [shop, new Shop(replica)];
    await Promise.all(
      Array.from({ length: 40 }, (_, index) => (shops[index % 2] as Shop).deliver(`n${index % 5}`, "l1:1", "l2:1")),
    );
    assert.equal(await levels(database), [0, 1, 2, 3, 4].map((each) => `n${each}@l1 8/0, n${each}@l2 8/0`).join(", "));
    await requireExplained(database);
    await replica.close();
  });

  it("lets nobody change the ledger", async () => {
    await shop.deliver("a", "l1:1");
    for (const sql of ["update stock_movement set on_hand_delta = 2", "delete from stock_movement"]) {
      await assert.rejects(database.query(sql), { code: "42501" });
    }
  });

  it("locks the locations that have most of an article, and leaves the others to others", async () => {
    await shop.deliver("a", ...Array.from({ length: 40 }, (_, index) => `l${index}:${100 - index}`));
    const other = await database.pool.connect();
    try {
      await other.query("begin");
      await other.query("select from stock_level where sku = 'a' and location_id = 'l39' for update");
      assert.equal(show(await shop.reserve("a:3")), "a@l0:3 held");
    } finally {
      await other.query("rollback");
      other.release();
    }
  });

  it("goes further when those that have most of an article are not enough, before it refuses", async () => {
    await shop.deliver("a", ...Array.from({ length: 300 }, (_, index) => `l${index}:1`));
    assert.equal((await shop.reserve("a:90")).allocations.length, 90);
    const orders = Array.from({ length: 210 }, () => shop.reserve("a:1"));
    assert.equal(new Set((await Promise.all(orders)).map(({ allocations }) => allocations[0]?.locationId)).size, 210);
    await assert.rejects(shop.reserve("a:1"), {
      reasonName: "OUT_OF_STOCK",
      metadata: { sku: "a", requested: "1", available: "0" },
    });
    await shop.deliver("a", "l7:1", "l8:1");
    await assert.rejects(shop.reserve("a:3"), {
      reasonName: "OUT_OF_STOCK",
      metadata: { sku: "a", requested: "3", available: "2" },
    });
    await requireExplained(database);
  });

  it("confirms a hold that expired from where it was, however little that location has beside others", async () => {
    await shop.deliver("a", "small:2");
    const { orderId } = await shop.reserve("a:2");
    await pass(database, 16 * minute);
    await shop.stock.expire();
    await shop.deliver("a", ...Array.from({ length: 40 }, (_, index) => `l${index}:100`));
    assert.equal(show(await shop.do({ kind: "confirm", orderId })), "a@small:2 confirmed");
    await requireExplained(database);
  });
});

/**
 * Waits until a process waits for a lock, then ends its connections. From a connection of its own: within a transaction
 * PostgreSQL shows the activity of others as it was at the first look.
 */
async function terminate(adminUrl: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await until(async () => {
      const { rowCount } = await client.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = $1 and wait_event_type = 'Lock'",
        [name],
      );
      return Boolean(rowCount);
    }, `${name} waits for a lock`);
  } finally {
    await client.end();
  }
}
