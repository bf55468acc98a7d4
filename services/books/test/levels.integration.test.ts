import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import pg from "pg";
import { until } from "#testing/until.ts";
import { Reader } from "../src/balance/ask.ts";
import { type Balance, takeBalance } from "../src/balance/balance.ts";
import { checkLevels, readSettled } from "../src/balance/levels.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
beforeEach(() => world.restore());
after(() => world?.[Symbol.asyncDispose]());

const add = {
  level: "update stock_level set on_hand = on_hand + 1 where sku = $1",
  movement: `insert into stock_movement (sku, location_id, kind, on_hand_delta, reserved_delta)
    select sku, location_id, 'adjustment', 1, 0 from stock_level where sku = $1`,
};

/** A process that puts pieces on shelves, as inventory does: the level first, then its movement. */
async function open(): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: world.databases.inventory.adminUrl });
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

const wrongOf = ({ findings }: Balance) => findings.flatMap(({ wrong }) => wrong);

describe("levels whose movements are summed piece by piece", () => {
  it("wait for a movement that got its id before the last one, and was not written yet", async () => {
    await using slow = await open();
    await slow.query("begin");
    await slow.query(add.level, ["book"]);
    await slow.query(add.movement, ["book"]);
    await world.change("inventory", add.level, ["pen"]);
    await world.change("inventory", add.movement, ["pen"]);
    await using reader = await Reader.open(world.urls.inventory);
    const settled = await reader.moment(readSettled);
    const look = reader.moment.bind(reader);
    let [looks, pages] = [0, 0];
    reader.moment = (work) =>
      look(work).finally(() => {
        looks += 1;
      });
    const findings = checkLevels(reader, settled, {
      pageSize: 1,
      onProgress: () => {
        pages += 1;
      },
    });
    await until(() => looks >= 3, "is looked several times");
    assert.equal(pages, 0);
    await slow.query("commit");
    const wrong = (await findings).flatMap((finding) => finding.wrong);
    assert.deepEqual([wrong, pages], [[], settled.movement]);
  });

  it("know what was moved while they were summed", async () => {
    await using busy = await open();
    let [count, moved] = [0, Promise.resolve()];
    const move = async () => {
      await busy.query("begin");
      await busy.query(add.level, ["book"]);
      await busy.query(add.movement, ["book"]);
      await busy.query("commit");
      count += 1;
    };
    const onProgress = ({ what }: { what: string }) => {
      if (what === "stock movements") moved = moved.then(move);
    };
    const balance = await takeBalance(world.sources, { pageSize: 1, onProgress });
    await moved;
    assert.ok(count > 5, `${count}`);
    assert.deepEqual(wrongOf(balance), []);
  });
});
