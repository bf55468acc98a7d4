// A workflow that was taken for lost may wake: what it asks then is refused, whatever it is, and the stock stays with whoever builds on it.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import type { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import type { Database } from "#platform/database/database.ts";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import type { StockCommand } from "../src/stock.ts";
import {
  connect,
  inventoryDatabase,
  inventoryOn,
  keyOf,
  minute,
  openReplica,
  requireExplained,
  Shop,
  show,
} from "./harness.ts";

type OrderCommand = Exclude<StockCommand, { kind: "adjust" | "serve" | "expire" }>;
type Given<C = OrderCommand> = C extends unknown ? Omit<C, "orderId" | "fence"> : never;

const hold = { lines: [{ sku: "a", quantity: 2n }], holdMs: 15 * minute };
const reserve: Given = { kind: "reserve", ...hold };
const confirm: Given = { kind: "confirm" };
const commit: Given = { kind: "commit" };
const release: Given = { kind: "release" };
const amend: Given = { kind: "amend", number: 1, lines: [{ sku: "a", quantity: 3n }], fixed: new Set() };
const undone: Given = { kind: "end_amendment", number: 1, accepted: false };
const back = [{ sku: "a", locationId: "l", quantity: 1n }];

/** What was done before, the last of it in the later episode; what an earlier one asks then; and how the order stands when the later one asks for it. */
const cases: { name: string; before: Given[]; late: Given; done: string }[] = [
  {
    name: "reserve of what was released before it was reserved",
    before: [release],
    late: reserve,
    done: "RESERVATION_ENDED",
  },
  { name: "reserve of what is held", before: [reserve], late: reserve, done: "a@l:2 held" },
  { name: "confirm", before: [reserve], late: confirm, done: "a@l:2 confirmed" },
  { name: "commit", before: [reserve, confirm], late: commit, done: "a@l:2 committed" },
  {
    name: "commit of a part",
    before: [reserve, confirm],
    late: { ...commit, locationId: "l" },
    done: "a@l:2 committed",
  },
  { name: "release of a hold", before: [reserve], late: release, done: "a@l:2 released" },
  { name: "release of what is firm", before: [reserve, confirm], late: release, done: "a@l:2 released" },
  {
    name: "release of a part",
    before: [reserve, confirm],
    late: { ...release, locationId: "l" },
    done: "a@l:2 released",
  },
  { name: "amend", before: [reserve, confirm], late: amend, done: "a@l:3 confirmed" },
  { name: "the end of an amendment", before: [reserve, confirm, amend], late: undone, done: "a@l:2 confirmed" },
  {
    name: "restock",
    before: [reserve, confirm, commit],
    late: { kind: "restock", returnId: newId(), parts: back },
    done: "a@l:2 committed",
  },
];

describe("what an episode asks that is over", () => {
  let test: TestDatabase;
  let database: Database;
  let shop: Shop;
  let client: Client<typeof InventoryService>;
  const replicas: Database[] = [];
  before(async () => {
    test = await inventoryDatabase();
    database = test.database;
    const inventory = inventoryOn(database);
    shop = new Shop(database, inventory);
    client = connect(inventory);
    await shop.deliver("a", "l:1000");
  });
  after(async () => {
    for (const replica of replicas) await replica.close();
    await test[Symbol.asyncDispose]();
  });

  const command = (orderId: string, given: Given, fence: number) => ({ ...given, orderId, fence }) as OrderCommand;
  const doOn = ({ stock }: Shop, asked: OrderCommand, requestId?: string) =>
    stock.change(keyOf({ ...asked, fence: 0 }, requestId), asked);
  /** Does it; how the order stands then, or why not. */
  const ask = (orderId: string, given: Given, fence: number, requestId?: string, of = shop): Promise<string> =>
    doOn(of, command(orderId, given, fence), requestId).then(show, ({ reasonName }) => reasonName ?? "failed");
  const fenceOf = async (orderId: string) => {
    const sql = "select fence from reservation where order_id = $1";
    return (await database.query<{ fence: number }>(sql, [decodeId(orderId)]))[0]?.fence;
  };
  /** All that there is of an order and of the stock. */
  const everything = async (orderId: string) => [
    await database.query("select * from reservation where order_id = $1", [decodeId(orderId)]),
    await database.query("select * from stock_level"),
    await database.query("select * from stock_movement where order_id = $1", [decodeId(orderId)]),
    (await readAuditLog(database)).filter((entry) => entry.orderId === orderId),
    await database.query("select * from idempotency_key where method like '%' || $1", [orderId]),
  ];
  const prepared = async (steps: Given[], last: number) => {
    const orderId = newId();
    for (const [index, step] of steps.entries()) {
      await doOn(shop, command(orderId, step, index === steps.length - 1 ? last : 1));
    }
    return orderId;
  };

  for (const { name, before: steps, late, done } of cases) {
    it(`is refused and changes nothing, and is done for the later one: ${name}`, async () => {
      const orderId = await prepared(steps, 5);
      const standing = await everything(orderId);
      assert.equal(await ask(orderId, late, 4), "EPISODE_OVER");
      assert.deepEqual(await everything(orderId), standing);
      assert.equal(await ask(orderId, late, 5), done);
      await requireExplained(database);
    });

    it(`is done for an episode after it, and for whoever says none: ${name}`, async () => {
      const orders = [await prepared(steps, 5), await prepared(steps, 5)];
      const outcomes = await Promise.all(orders.map((orderId, index) => ask(orderId, late, index === 0 ? 6 : 0)));
      assert.deepEqual(outcomes, [done, done]);
      const [later, none] = await Promise.all(orders.map(fenceOf));
      assert.deepEqual([later, none], [done === "RESERVATION_ENDED" ? 5 : 6, 5]);
    });
  }

  for (const [id, before] of [
    ["reserve", []],
    ["confirm", [reserve]],
  ] as const) {
    it(`is refused also when the later one was answered with what this one had done: ${id}`, async () => {
      const orderId = newId();
      const step = id === "reserve" ? reserve : confirm;
      for (const each of before) await ask(orderId, each, 1);
      const first = await ask(orderId, step, 1, `${orderId}:${id}`);
      assert.equal(await ask(orderId, step, 2, `${orderId}:${id}`), first);
      assert.equal(await fenceOf(orderId), 2);
      assert.equal(await ask(orderId, release, 1, `${orderId}:release`), "EPISODE_OVER");
      assert.equal(await ask(orderId, step, 1, `${orderId}:${id}`), "EPISODE_OVER", "and so is its own repetition");
      assert.equal(await ask(orderId, release, 2, `${orderId}:release`), "a@l:2 released");
    });
  }

  it("is refused of an order that waits for stock, which does not lose its turn", async () => {
    const waits = { ...reserve, lines: [{ sku: "a", quantity: 9_999n }], waits: true } as Given;
    const orderId = newId();
    assert.equal(await ask(orderId, waits, 1), "");
    assert.equal(await ask(orderId, waits, 2), "");
    assert.equal(await ask(orderId, release, 1), "EPISODE_OVER");
    await requireExplained(database);
    assert.equal(await ask(orderId, release, 2), "");
  });

  it("says by whom it is over, for each entry of a batch, and the same request is the same from any episode", async () => {
    const [over, open] = [newId(), newId()];
    const lines = [{ sku: "a", quantity: 1n }];
    const requestId = `${over}:reserve`;
    for (const fence of [1, 3]) await client.reserveStock({ requestId, orderId: over, lines, fence });
    const requests = [over, open].map((orderId) => ({ requestId: `${orderId}:release`, orderId, fence: 2 }));
    const { outcomes } = await client.batchReleaseReservations({ requests });
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome.case),
      ["failure", "response"],
    );
    const error = await client.releaseReservation(requests[0] ?? {}).then(() => assert.fail("done"), ConnectError.from);
    const info = error.findDetails(ErrorInfoSchema)[0];
    assert.deepEqual([info?.reason, info?.metadata], ["EPISODE_OVER", { order_id: over, fence: "2", highest: "3" }]);
  });

  it("never takes away what the other one makes firm, in whichever order both come from two processes", async () => {
    const replica = await openReplica(test, "inventory-2");
    replicas.push(replica);
    const other = new Shop(replica);
    for (let round = 0; round < 40; round += 1) {
      const orderId = newId();
      await ask(orderId, reserve, 1, `${orderId}:reserve`);
      const outcomes: [string, string] = await Promise.all([
        ask(orderId, release, 1, `${orderId}:release`, other),
        ask(orderId, confirm, 2, `${orderId}:confirm`),
      ]);
      const [late, firm] = outcomes;
      // Nobody had asked since when it came first: then there is nothing to be made firm.
      if (late !== "EPISODE_OVER") assert.deepEqual([late, firm], ["a@l:2 released", "RESERVATION_ENDED"]);
      else assert.equal(firm, "a@l:2 confirmed");
      const standing = await ask(orderId, release, 1);
      assert.equal(standing, late === "EPISODE_OVER" ? "EPISODE_OVER" : "a@l:2 released");
    }
    await requireExplained(database);
  });

  it("costs no index an update to remember", async () => {
    const orderId = await prepared([reserve, confirm], 1);
    const single = await openReplica(test, "inventory-3", 1);
    replicas.push(single);
    const alone = new Shop(single);
    const updates = async () => {
      await single.query("select pg_stat_force_next_flush()");
      const [row] = await single.query<{ all: bigint; inPlace: bigint }>(
        `select pg_stat_get_tuples_updated('reservation'::regclass) as all,
          pg_stat_get_tuples_hot_updated('reservation'::regclass) as "inPlace"`,
      );
      return row ?? { all: 0n, inPlace: 0n };
    };
    await updates();
    const start = await updates();
    for (const fence of [2, 3, 4]) await ask(orderId, commit, fence, `${orderId}:commit`, alone);
    const end = await updates();
    assert.equal(await fenceOf(orderId), 4);
    assert.deepEqual([end.all - start.all, end.inPlace - start.inPlace], [3n, 3n]);
  });
});
