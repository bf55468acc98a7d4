// Orders that wait for stock: first come, first served, whoever brings it and whatever dies.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import pg from "pg";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import type { Database } from "#platform/database/database.ts";
import { encodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import type { InventoryParts } from "../src/inventory.ts";
import { isWaiting } from "../src/stock.ts";
import {
  connect,
  inventoryDatabase,
  inventoryOn,
  levels,
  minute,
  openReplica,
  pass,
  requireExplained,
  Shop,
  tellable,
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
  await asAdmin("truncate stock_level, reservation, stock_movement, idempotency_key, back_order_line, back_order_news");
  shop = new Shop(database);
});

async function asAdmin(sql: string): Promise<void> {
  const admin = new pg.Client({ connectionString: test.adminUrl });
  await admin.connect();
  await admin.query(sql);
  await admin.end();
}

/** Has orders wait, one after the other; answers their ids. */
async function queue(...wishes: string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const lines of wishes) {
    const reservation = await shop.wait(lines);
    assert.ok(isWaiting(reservation), `${lines} is there`);
    ids.push(reservation.orderId);
  }
  return ids;
}

/** What each of these orders has: what is set aside, "waits", or nothing. */
async function having(ids: readonly string[]): Promise<string[]> {
  const rows = await database.query<{ id: string; has: string }>(
    `select order_id::text as id, case when not (wait->>'served')::boolean then 'waits' else coalesce((
        select string_agg(a.sku || ':' || a.quantity, ' ' order by a.sku) from (
          select sku, sum(quantity) as quantity from allocation
          where allocation.order_id = r.order_id and status in ('held', 'confirmed') group by sku
        ) a), '') end as has from reservation r`,
  );
  const byId = new Map(rows.map(({ id, has }) => [encodeId(id), has]));
  return ids.map((id) => byId.get(id) ?? "nothing");
}

const serve = () => shop.stock.serve(undefined);
const release = (orderId: string) => shop.do({ kind: "release", orderId });

describe("an order that waits for stock", () => {
  it("has nothing set aside, and is told so again until its turn has come", async () => {
    await shop.deliver("a", "l1:1");
    const orderId = newId();
    const first = await shop.wait("a:2", orderId, "r1");
    assert.deepEqual([isWaiting(first), first.allocations], [true, []]);
    const again = await shop.wait("a:2", orderId, "r1");
    assert.equal(isWaiting(again) && again.wait.since.getTime(), first.wait?.since.getTime());
    assert.equal(await levels(database), "a@l1 1/0");
    await shop.deliver("a", "l2:1");
    assert.equal(await serve(), 1);
    const served = await shop.wait("a:2", orderId, "r1");
    assert.deepEqual(
      served.allocations.map(({ locationId, status }) => `${locationId} ${status}`),
      ["l1 held", "l2 held"],
    );
    assert.deepEqual((await shop.wait("a:2", orderId, "r1")).allocations, served.allocations);
    assert.equal(await serve(), 0);
    await requireExplained(database);
    const log = await readAuditLog(database);
    assert.deepEqual(
      log
        .map(({ action }) => action)
        .filter((action) => !["stock.adjusted", "stock.low", "stock.available"].includes(action)),
      ["stock.awaited", "stock.reserved"],
    );
  });

  it("is refused like any other when nobody has ever had it, or its lines are others", async () => {
    await assert.rejects(shop.wait("a:1"), { reasonName: "UNKNOWN_SKU" });
    await shop.deliver("a", "l1:1");
    const [orderId = ""] = await queue("a:2");
    await assert.rejects(shop.wait("a:3", orderId), { reasonName: "ALREADY_RESERVED" });
    await assert.rejects(shop.do({ kind: "confirm", orderId }), { reasonName: "RESERVATION_ENDED" });
    await assert.rejects(shop.do({ kind: "release", orderId, locationId: "l1" }), {
      reasonName: "RESERVATION_PART_NOT_FOUND",
    });
  });

  it("is refused when it does not want to wait any longer, and stands in the way of nobody once it is released", async () => {
    await shop.deliver("a", "l1:1");
    const [large = "", small = ""] = await queue("a:3", "a:1");
    await assert.rejects(shop.reserve("a:3", large), { reasonName: "OUT_OF_STOCK" });
    assert.deepEqual(await having([large, small]), ["waits", "waits"]);
    await release(large);
    assert.equal(await serve(), 1);
    assert.deepEqual(await having([large, small]), ["", "a:1"]);
    await release(large);
    await assert.rejects(shop.wait("a:3", large), { reasonName: "RESERVATION_ENDED" });
    await requireExplained(database);
  });
});

describe("who is served", () => {
  it("comes first: a small order does not overtake a large one that cannot be served", async () => {
    await shop.deliver("a", "l1:1");
    const ids = await queue("a:5", "a:1", "a:2");
    await shop.deliver("a", "l1:3");
    assert.equal(await serve(), 0);
    await shop.deliver("a", "l2:2");
    assert.equal(await serve(), 2);
    assert.deepEqual(await having(ids), ["a:5", "a:1", "waits"]);
    await requireExplained(database);
  });

  it("is nobody who comes later and does not wait, whatever lies there", async () => {
    await shop.deliver("a", "l1:4");
    const ids = await queue("a:5");
    await assert.rejects(shop.reserve("a:1"), {
      reasonName: "OUT_OF_STOCK",
      metadata: { sku: "a", requested: "1", available: "0" },
    });
    await shop.deliver("a", "l1:3");
    // Nobody has looked yet: two are there for others, five are not.
    await shop.reserve("a:2");
    await assert.rejects(shop.reserve("a:1"), { reasonName: "OUT_OF_STOCK" });
    assert.equal(await serve(), 1);
    assert.deepEqual(await having(ids), ["a:5"]);
    assert.equal(await levels(database), "a@l1 7/7");
  });

  it("is all of whom there is enough for, and nobody else", async () => {
    await shop.deliver("a", "l1:1");
    await shop.deliver("b", "l1:1");
    await shop.deliver("c", "l1:1");
    const ids = await queue("a:2 b:1", "a:1 b:2", "c:2", "b:1 c:1", "a:4");
    await shop.deliver("a", "l1:2");
    assert.equal(await serve(), 1);
    assert.deepEqual(await having(ids), ["a:2 b:1", "waits", "waits", "waits", "waits"]);
    await shop.deliver("b", "l1:2");
    await shop.deliver("c", "l1:1");
    assert.equal(await serve(), 2);
    assert.deepEqual(await having(ids), ["a:2 b:1", "a:1 b:2", "c:2", "waits", "waits"]);
    await shop.deliver("b", "l1:1");
    await shop.deliver("c", "l1:1");
    assert.equal(await serve(), 1);
    assert.deepEqual((await having(ids)).slice(3), ["b:1 c:1", "waits"]);
    await requireExplained(database);
  });

  it("has, while it waits for another article, no more of this one than it wants", async () => {
    await shop.deliver("a", "l1:1");
    await shop.deliver("b", "l1:1");
    const ids = await queue("a:1 b:2", "a:2");
    // One is for the first, who cannot take it yet; the second wants two.
    await shop.deliver("a", "l1:1");
    assert.equal(await serve(), 0);
    await shop.deliver("a", "l1:1");
    assert.equal(await serve(), 1);
    assert.deepEqual(await having(ids), ["waits", "a:2"]);
    await shop.deliver("b", "l1:1");
    assert.equal(await serve(), 1);
    assert.deepEqual(await having(ids), ["a:1 b:2", "a:2"]);
  });

  it("is never starved by what is never there at the same time", async () => {
    await shop.deliver("a", "l1:1");
    await shop.deliver("b", "l1:1");
    const [both = "", ...others] = await queue("a:2 b:2", "a:2", "b:2", "a:2", "b:2");
    await shop.deliver("a", "l1:1");
    assert.equal(await serve(), 0);
    await shop.deliver("b", "l1:1");
    assert.equal(await serve(), 1);
    assert.deepEqual(await having([both, ...others]), ["a:2 b:2", "waits", "waits", "waits", "waits"]);
  });

  it("may be whoever stands behind one that is withdrawn, for whatever article", async () => {
    await shop.deliver("a", "l1:2");
    await shop.deliver("b", "l1:2");
    const [first = "", ...others] = await queue("a:3 b:1", "a:2", "b:3");
    assert.equal(await serve(), 0);
    await release(first);
    assert.equal(await serve(), 1);
    assert.deepEqual(await having(others), ["a:2", "waits"]);
  });

  for (const [what, give] of [
    ["released", (orderId) => release(orderId)],
    ["released at one location", (orderId) => shop.do({ kind: "release", orderId, locationId: "l1" })],
    [
      "over",
      async () => {
        await pass(database, 16 * minute);
        await shop.stock.expire();
      },
    ],
  ] as [string, (orderId: string) => Promise<unknown>][]) {
    it(`gets what is ${what}`, async () => {
      await shop.deliver("a", "l1:2");
      const { orderId } = await shop.reserve("a:2");
      const ids = await queue("a:1", "a:1");
      assert.equal(await serve(), 0);
      await give(orderId);
      assert.equal(await serve(), 2);
      assert.deepEqual(await having(ids), ["a:1", "a:1"]);
      await requireExplained(database);
    });
  }

  it("is not robbed by a confirmation that comes after its hold has ended", async () => {
    await shop.deliver("a", "l1:2");
    const { orderId } = await shop.reserve("a:2");
    const ids = await queue("a:1");
    await pass(database, 16 * minute);
    await shop.stock.expire();
    await assert.rejects(shop.do({ kind: "confirm", orderId }), { reasonName: "HOLD_EXPIRED" });
    assert.equal(await serve(), 1);
    assert.deepEqual(await having(ids), ["a:1"]);
  });

  it("is as many as there may be at once, and then the others", async () => {
    await shop.deliver("a", "l1:1");
    const ids = await queue(...Array<string>(6).fill("a:2"));
    await shop.deliver("a", "l1:11");
    assert.equal(await shop.stock.serve(undefined, 4), 4);
    assert.deepEqual(await having(ids), ["a:2", "a:2", "a:2", "a:2", "waits", "waits"]);
    assert.equal(await shop.stock.serve(["a"], 4), 2);
    assert.equal(await shop.stock.serve(["a"], 4), 0);
  });

  it("is looked for also at the fiftieth location", async () => {
    await shop.deliver("a", ...Array.from({ length: 50 }, (_, index) => `l${index}:1`));
    const ids = await queue("a:51");
    await shop.deliver("a", "m:1");
    assert.equal(await serve(), 1);
    assert.deepEqual(await having(ids), ["a:51"]);
  });
});

describe("the queue of an article", () => {
  it("has an end", async () => {
    await asAdmin("insert into stock_level (sku, location_id) values ('a', 'l1')");
    await asAdmin(`insert into back_order_line (sku, place, order_id, quantity, wait_time)
      select 'a', -n, gen_random_uuid(), 1, now() from generate_series(1, 10000) n`);
    await assert.rejects(shop.wait("a:1"), { reasonName: "OUT_OF_STOCK" });
  });

  it("keeps the turn of who was served and could not be asked in time", async () => {
    await shop.deliver("a", "l1:1");
    const [first = "", second = ""] = await queue("a:2", "a:2");
    await shop.deliver("a", "l1:1");
    assert.equal(await serve(), 1);
    await pass(database, 8 * 24 * 60 * minute);
    await shop.stock.expire();
    assert.equal(await serve(), 1);
    assert.deepEqual(await having([first, second]), ["", "a:2"]);
    const third = await shop.wait("a:1");
    assert.ok(isWaiting(await shop.wait("a:2", first)));
    await release(second);
    assert.equal(await serve(), 1);
    assert.deepEqual(await having([first, third.orderId]), ["a:2", "waits"]);
    await requireExplained(database);
  });

  it("is shown with the stock", async () => {
    await shop.deliver("a", "l1:2");
    await queue("a:3", "a:4");
    const { available, waiting } = await connect(inventoryOn(database)).getStockLevel({ sku: "a" });
    assert.deepEqual({ available, waiting }, { available: 0n, waiting: 7n });
  });
});

describe("serving", () => {
  const running: InventoryParts[] = [];
  /** Starts the service as a process does. */
  async function start(on: Database, orders = tellable()): Promise<{ shop: Shop; parts: InventoryParts }> {
    const parts = inventoryOn(on, orders);
    running.push(parts);
    await parts.start?.();
    return { shop: new Shop(on, parts), parts };
  }
  const stopAll = () => Promise.all(running.splice(0).map((parts) => parts.stop?.()));

  it("happens as soon as stock is there, without looking, and orders is told once", async () => {
    const orders = tellable();
    const { shop: busy } = await start(database, orders);
    try {
      await busy.deliver("a", "l1:1");
      const waits = await Promise.all([busy.wait("a:2"), busy.wait("a:3")]);
      const [first, second] = waits.toSorted(
        (a, b) => Number(a.wait?.lines[0]?.quantity) - Number(b.wait?.lines[0]?.quantity),
      );
      await busy.deliver("a", "l1:4");
      await until(() => orders.told.length === 2, "orders is told of both");
      assert.deepEqual(await having([first?.orderId ?? "", second?.orderId ?? ""]), ["a:2", "a:3"]);
      await until(async () => (await database.query("select from back_order_news")).length === 0, "it is written down");
      assert.equal(orders.told.length, 2);
    } finally {
      await stopAll();
    }
  });

  it("is made up for when whoever brought the stock has died, or does not know who waits", async () => {
    await shop.deliver("a", "l1:1");
    const ids = await queue("a:2");
    // A process of the version before.
    await asAdmin("update stock_level set on_hand = 2");
    await asAdmin(`insert into stock_movement (sku, location_id, kind, on_hand_delta, reserved_delta)
      values ('a', 'l1', 'adjustment', 1, 0)`);
    const orders = tellable();
    await start(database, orders);
    try {
      await until(() => orders.told.length === 1, "orders is told");
      assert.deepEqual(await having(ids), ["a:2"]);
      await requireExplained(database);
    } finally {
      await stopAll();
    }
  });

  it("keeps what is set aside until orders has heard of it, and only then its time begins", async () => {
    await shop.deliver("a", "l1:1");
    const [orderId = ""] = await queue("a:2");
    await shop.deliver("a", "l1:1");
    assert.equal(await serve(), 1);
    const orders = tellable();
    orders.answer = "away";
    const { backOrders } = inventoryOn(database, orders);
    await assert.rejects(backOrders.news.sweep(new AbortController().signal), { code: 14 });
    await pass(database, 60 * minute);
    assert.equal(await shop.stock.expire(), 0);
    await asAdmin("update back_order_news set due_time = '-infinity'");
    orders.answer = "taken";
    assert.equal(await backOrders.news.sweep(new AbortController().signal), 1);
    assert.deepEqual(orders.told, [orderId]);
    await pass(database, 16 * minute);
    assert.equal(await shop.stock.expire(), 1);
    assert.deepEqual(await having([orderId]), [""]);
  });

  it("tells again what a process that died between telling and writing it down has told", async () => {
    await shop.deliver("a", "l1:1");
    const [orderId = ""] = await queue("a:2");
    await shop.deliver("a", "l1:1");
    await serve();
    const orders = tellable();
    const { backOrders } = inventoryOn(database, orders);
    // What the dead one had taken on is left alone for a while.
    await database.query("update back_order_news set due_time = now() + interval '1 hour'");
    assert.equal(await backOrders.news.sweep(new AbortController().signal), 0);
    await database.query("update back_order_news set due_time = now()");
    assert.equal(await backOrders.news.sweep(new AbortController().signal), 1);
    assert.deepEqual(orders.told, [orderId]);
  });

  it("gives back what orders does not know, to who comes next", async () => {
    await shop.deliver("a", "l1:1");
    const ids = await queue("a:2", "a:1");
    await shop.deliver("a", "l1:1");
    assert.equal(await serve(), 1);
    const orders = tellable();
    orders.answer = "refused";
    const { backOrders } = inventoryOn(database, orders);
    assert.equal(await backOrders.news.sweep(new AbortController().signal), 1);
    assert.equal(await serve(), 1);
    assert.deepEqual(await having(ids), ["", "a:1"]);
    await requireExplained(database);
  });

  it("says nothing of an order that was withdrawn meanwhile", async () => {
    await shop.deliver("a", "l1:1");
    const [orderId = ""] = await queue("a:2");
    await shop.deliver("a", "l1:1");
    await serve();
    await release(orderId);
    assert.deepEqual(await database.query("select from back_order_news"), []);
    assert.equal(await levels(database), "a@l1 2/0");
  });

  it("and withdrawing at the same moment come one after the other, whichever is first", async () => {
    const replica = await openReplica(test, "other");
    try {
      const other = new Shop(replica);
      await shop.deliver("a", "l1:1");
      for (let round = 0; round < 60; round += 1) {
        const [orderId = "", next = ""] = await queue("a:2", "a:1");
        await Promise.all([
          shop.deliver("a", "l1:1").then(serve),
          other.do({ kind: "release", orderId }, `x${round}`),
          round % 3 === 0 ? other.do({ kind: "release", orderId }, `y${round}`) : undefined,
        ]);
        await serve();
        assert.deepEqual(await having([orderId, next]), ["", "a:1"], `round ${round}`);
        await release(next);
        await shop.deliver("a", "l1:-1");
      }
      await requireExplained(database);
    } finally {
      await replica.close();
    }
  });

  it("keeps to the turns whatever the replicas do", async () => {
    const replicas = await Promise.all([1, 2, 3].map((each) => openReplica(test, `replica-${each}`)));
    const orders = tellable();
    try {
      const shops = (await Promise.all(replicas.map((replica) => start(replica, orders)))).map((each) => each.shop);
      const on = (index: number) => shops[index % shops.length] as Shop;
      await shop.deliver("a", "l1:1", "l2:1");
      await shop.deliver("b", "l1:1");
      const ids = await queue(
        ...Array.from({ length: 60 }, (_, index) => `a:${3 + (index % 4)}${index % 5 === 0 ? " b:2" : ""}`),
      );
      const comings = Array.from({ length: 90 }, (_, index) => async () => {
        if (index % 3 === 2)
          await on(index)
            .reserve("a:1")
            .catch(() => undefined);
        else await on(index).deliver(index % 10 === 0 ? "b" : "a", `l${index % 7}:${1 + (index % 6)}`);
      });
      await Promise.all(comings.map((come) => come()));
      for (const [index, id] of ids.entries())
        if (index % 11 === 3) await on(index).do({ kind: "release", orderId: id });
      await shop.deliver("a", "l1:400");
      await shop.deliver("b", "l1:100");
      const wanted = ids.filter((_, index) => index % 11 !== 3);
      await until(async () => !(await having(wanted)).includes("waits"), "all are served");
      await until(() => wanted.every((id) => orders.told.includes(id)), "orders knows of all");
      // Of those that want one article, the order in which they were served is that in which they came.
      const only = wanted.filter((id) => ids.indexOf(id) % 5 !== 0);
      const rows = await database.query<{ id: string }>(
        "select order_id::text as id, min(movement_id) as first from stock_movement where kind = 'reservation' group by 1 order by 2",
      );
      const order = rows.map(({ id }) => encodeId(id)).filter((id) => only.includes(id));
      assert.deepEqual(order, only);
      await requireExplained(database);
    } finally {
      await stopAll();
      await Promise.all(replicas.map((replica) => replica.close()));
    }
  });

  it("is asked for by the contract, and answers since when an order waits", async () => {
    await shop.deliver("a", "l1:1");
    const client = connect(inventoryOn(database));
    const request = {
      requestId: "r",
      orderId: newId(),
      lines: [{ sku: "a", quantity: 2n }],
      shortagePolicy: ShortagePolicy.BACK_ORDER,
    };
    const { reservation } = await client.reserveStock(request);
    assert.ok(reservation?.waitTime);
    assert.deepEqual(reservation.allocations, []);
    await shop.deliver("a", "l1:1");
    await serve();
    const served = await client.reserveStock(request);
    assert.equal(served.reservation?.waitTime, undefined);
    assert.equal(served.reservation?.allocations.length, 1);
    // Whoever asks again without waiting asks for the same.
    const rejecting = await client.reserveStock({ ...request, shortagePolicy: ShortagePolicy.REJECT });
    assert.deepEqual(rejecting.reservation?.allocations, served.reservation?.allocations);
  });
});

describe("who waits for an article", () => {
  it("is listed in turn, page by page, with what is wanted before", async () => {
    await shop.deliver("a", "l1:1");
    await shop.deliver("b", "l1:1");
    const [one = "", , three = "", four = ""] = await queue("a:3", "b:2", "a:2 b:5", "a:7");
    const client = connect(inventoryOn(database));
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await client.listBackOrders({ sku: "a", pageSize: 1, pageToken });
      for (const { orderId, quantity, ahead, waitTime } of page.backOrders) {
        assert.ok(waitTime);
        seen.push(`${orderId} ${quantity} ${ahead}`);
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(seen, [`${one} 3 0`, `${three} 2 3`, `${four} 7 5`]);
    // Whoever leaves between two pages moves nobody, and those behind come nearer.
    const first = await client.listBackOrders({ sku: "a", pageSize: 1 });
    await release(one);
    const second = await client.listBackOrders({ sku: "a", pageToken: first.nextPageToken });
    assert.deepEqual(
      second.backOrders.map(({ orderId, ahead }) => `${orderId} ${ahead}`),
      [`${three} 0`, `${four} 2`],
    );
    await assert.rejects(
      client.listBackOrders({ sku: "b", pageToken: first.nextPageToken }),
      /INVALID_PAGE_TOKEN|page token/i,
    );
    assert.deepEqual((await client.listBackOrders({ sku: "nobody-wants-it" })).backOrders, []);
  });
});
