import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { takeBalance } from "../src/balance/balance.ts";
import type { Progress } from "../src/balance/progress.ts";
import { fillShelves, writeManyOrders } from "./many-orders.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
before(async () => {
  world = await openWorld();
  await fillShelves(world.change);
});
after(() => world?.[Symbol.asyncDispose]());

const pageSize = 200;

async function compare() {
  const progress: Progress[] = [];
  const balance = await takeBalance(world.sources, { pageSize, onProgress: (step) => progress.push(step) });
  const wrong = balance.findings.flatMap((finding) => finding.wrong);
  return { ...balance, wrong, progress, ranges: progress.filter(({ what }) => what === "orders").length };
}

describe("the books of many orders", () => {
  it("hold no more rows at a time when there are five times as many orders", async () => {
    await writeManyOrders(world.change, { from: 1, to: 600 });
    const few = await compare();
    await writeManyOrders(world.change, { from: 601, to: 3_000 });
    const many = await compare();
    assert.deepEqual([few.wrong, many.wrong], [[], []]);
    assert.deepEqual([few.orders, many.orders], [600, 3_000]);
    assert.ok(many.ranges > 4 * few.ranges, `${few.ranges} ranges, then ${many.ranges}`);
    // Pages differ by some rows: an order has one parcel or two.
    assert.ok(many.effort.mostRows <= few.effort.mostRows + 20, `${few.effort.mostRows}, then ${many.effort.mostRows}`);
    const last = new Map(many.progress.map(({ what, done }) => [what, done]));
    assert.ok([...last.values()].every((done) => done >= 2_800) && last.size === 6, JSON.stringify([...last]));
  });

  it("hold no more when one service knows orders that the others do not", async () => {
    const { effort } = await compare();
    await world.change(
      "orders",
      "delete from order_line where order_id in (select order_id from customer_order limit 2500)",
    );
    await world.change(
      "orders",
      "delete from customer_order o where not exists (select from order_line l where l.order_id = o.order_id)",
    );
    const lost = await compare();
    assert.ok(
      lost.wrong.some((sentence) => /^there is no order \w+, but stock, money or a parcel of it$/.test(sentence)),
    );
    assert.ok(lost.effort.mostRows <= effort.mostRows + 20, `${effort.mostRows}, then ${lost.effort.mostRows}`);
  });
});
