import type { Ask } from "./ask.ts";
import { type Finding, maxNamed } from "./finding.ts";

/** What inventory knows of one order. */
export interface StockOfOrder {
  /** Still set aside, held or confirmed: how many articles. */
  open: number;
  /** Taken from the shelf: location → article → how many. */
  readonly left: Map<string, Map<string, number>>;
}

/** The balance of stock, and what each order has of it. */
export interface StockBalance {
  readonly findings: readonly Finding[];
  readonly byOrder: ReadonlyMap<string, StockOfOrder>;
}

/** Every level must be explained by its movements, and what is reserved by allocations that are open. */
export async function checkStock(ask: Ask): Promise<StockBalance> {
  const findings = [await checkLevels(ask), await checkReserved(ask), await checkAllocations(ask)];
  return { findings, byOrder: await readByOrder(ask) };
}

interface LevelRow {
  sku: string;
  location_id: string;
  on_hand: string;
  reserved: string;
  moved_on_hand: string;
  moved_reserved: string;
}

async function checkLevels(ask: Ask): Promise<Finding> {
  const rows =
    await ask<LevelRow>(`select coalesce(l.sku, m.sku) as sku, coalesce(l.location_id, m.location_id) as location_id,
      coalesce(l.on_hand, 0) as on_hand, coalesce(l.reserved, 0) as reserved,
      coalesce(m.on_hand, 0) as moved_on_hand, coalesce(m.reserved, 0) as moved_reserved
    from stock_level l full join (
      select sku, location_id, sum(on_hand_delta)::bigint as on_hand, sum(reserved_delta)::bigint as reserved
      from stock_movement group by sku, location_id) m using (sku, location_id)`);
  const wrong = rows.filter((row) => row.on_hand !== row.moved_on_hand || row.reserved !== row.moved_reserved);
  return {
    checked: `${rows.length} stock levels equal the sum of their movements`,
    wrong: wrong.map(
      (row) =>
        `${row.sku} at ${row.location_id} has ${row.on_hand} on hand and ${row.reserved} reserved, its movements sum to ${row.moved_on_hand} and ${row.moved_reserved}`,
    ),
  };
}

async function checkReserved(ask: Ask): Promise<Finding> {
  const rows = await ask<{ sku: string; location_id: string; reserved: string; open: string }>(
    `select l.sku, l.location_id, l.reserved, coalesce(a.quantity, 0) as open
    from stock_level l left join (select sku, location_id, sum(quantity)::bigint as quantity from allocation
      where status in ('held', 'confirmed') group by sku, location_id) a using (sku, location_id)`,
  );
  const reserved = rows.reduce((sum, row) => sum + BigInt(row.reserved), 0n);
  return {
    checked: `${reserved} reserved articles are those of open reservations`,
    wrong: rows
      .filter((row) => row.reserved !== row.open)
      .map(
        (row) => `${row.sku} at ${row.location_id} has ${row.reserved} reserved, open reservations have ${row.open}`,
      ),
  };
}

/** What is open was reserved once, what left was taken once, and what ended left nothing behind. */
async function checkAllocations(ask: Ask): Promise<Finding> {
  const rows = await ask<{ order_id: string; sku: string; location_id: string; status: string | null }>(
    `select coalesce(a.order_id, m.order_id) as order_id, coalesce(a.sku, m.sku) as sku,
      coalesce(a.location_id, m.location_id) as location_id, a.status
    from allocation a full join (
      select order_id, sku, location_id, sum(on_hand_delta) as on_hand, sum(reserved_delta) as reserved
      from stock_movement where order_id is not null group by order_id, sku, location_id) m
      using (order_id, sku, location_id)
    where coalesce(m.reserved, 0) <> case when a.status in ('held', 'confirmed') then a.quantity else 0 end
      or coalesce(m.on_hand, 0) <> case when a.status = 'committed' then -a.quantity else 0 end
    limit ${maxNamed}`,
  );
  const [count] = await ask<{ count: string }>("select count(*) from allocation");
  return {
    checked: `${count?.count ?? 0} allocations agree with the movements of their orders`,
    wrong: rows.map(
      (row) =>
        `order ${row.order_id}: ${row.sku} at ${row.location_id} is ${row.status ?? "unknown"}, its movements differ`,
    ),
  };
}

async function readByOrder(ask: Ask): Promise<Map<string, StockOfOrder>> {
  const rows = await ask<{ order_id: string; sku: string; location_id: string; quantity: string; status: string }>(
    `select r.order_id, a.sku, a.location_id, a.quantity, a.status from reservation r
      left join allocation a on a.order_id = r.order_id and a.status in ('held', 'confirmed', 'committed')`,
  );
  const byOrder = new Map<string, StockOfOrder>();
  for (const row of rows) {
    const stock = byOrder.get(row.order_id) ?? { open: 0, left: new Map() };
    byOrder.set(row.order_id, stock);
    if (row.status === "committed") {
      const articles = stock.left.get(row.location_id) ?? new Map<string, number>();
      articles.set(row.sku, (articles.get(row.sku) ?? 0) + Number(row.quantity));
      stock.left.set(row.location_id, articles);
    } else if (row.status) stock.open += Number(row.quantity);
  }
  return byOrder;
}
