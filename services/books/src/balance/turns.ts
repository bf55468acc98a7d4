import { setTimeout as pause } from "node:timers/promises";
import type { Ask, Reader } from "./ask.ts";
import { type Finding, maxNamed } from "./finding.ts";
import type { IdRange } from "./range.ts";

/** Orders that stand in the queue of an article, or whose turn has come without orders knowing it. */
export async function readQueued(ask: Ask, { from, to }: IdRange): Promise<ReadonlySet<string>> {
  const rows = await ask<{ order_id: string }>(
    `select distinct order_id from back_order_line where order_id between $1 and $2
    union select order_id from back_order_news where order_id between $1 and $2`,
    [from, to],
  );
  return new Set(rows.map((row) => row.order_id));
}

/** Whose turn has come is served in milliseconds, and where the process that should have done it has died, in seconds. */
const patienceMs = 15_000;
/** Nobody serves while inventory is away: stock that has come or gone, and orders that came, more lately are not looked at. */
const settledMinutes = 2;
const lookEveryMs = 500;

/**
 * Nobody waits for stock who could be served: what there is, less what all that came before him and himself want together, is enough
 * of every article. Those that could be are looked at again for some time.
 */
export async function checkTurns(reader: Reader): Promise<Finding> {
  const end = Date.now() + patienceMs;
  for (let left = await reader.moment(readTurns); ; ) {
    const { waiting, servable } = left;
    if (servable.size === 0 || Date.now() > end) {
      const wrong = [...servable].slice(0, maxNamed).map((id) => `order ${id} waits for stock that is there`);
      return { checked: `${waiting} orders that wait for stock are not to be served yet`, wrong };
    }
    await pause(lookEveryMs);
    const now = await reader.moment(readTurns);
    const still = new Set([...servable].filter((id) => now.servable.has(id)));
    left = { waiting: now.waiting, servable: still };
  }
}

async function readTurns(ask: Ask): Promise<{ waiting: number; servable: ReadonlySet<string> }> {
  const rows = await ask<{ order_id: string; servable: boolean }>(
    `select order_id, bool_and(upto <= available
        and greatest(wait_time, moved) < now() - interval '${settledMinutes} minutes') as servable from (
      select order_id, sku, wait_time, sum(quantity) over (partition by sku order by place) as upto from back_order_line
    ) l left join (
      select sku, sum(on_hand - reserved) as available, max(update_time) as moved from stock_level
      where sku in (select sku from back_order_line) group by sku
    ) s using (sku) group by order_id`,
  );
  const servable = rows.filter((row) => row.servable).map((row) => row.order_id);
  return { waiting: rows.length, servable: new Set(servable) };
}
