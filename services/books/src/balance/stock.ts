import type { Ask } from "./ask.ts";
import { type Finding, Tally } from "./finding.ts";
import type { IdRange } from "./range.ts";

/** What inventory knows of one order. */
export interface StockOfOrder {
  /** Still set aside, held or confirmed: how many articles. */
  open: number;
  /** Taken from the shelf: location → article → how many. */
  readonly left: Map<string, Map<string, number>>;
  /** Back on the shelf: `sku@location` → how many. */
  readonly returned: Map<string, number>;
  /** What its parcels were made of, in no particular order: taken from the shelf, or released after it was promised. */
  readonly promised: { readonly sku: string; readonly locationId: string; readonly quantity: number }[];
}

/** A part of a reservation beside the movements of its order, as sums. */
interface PartRow {
  order_id: string;
  /** Null: the reservation has no parts. */
  sku: string | null;
  location_id: string;
  /** Null: there are movements, and no part. */
  status: string | null;
  quantity: string;
  on_hand: string;
  reserved: string;
}

/** What orders have of the stock, page by page. */
export class StockOfOrders {
  readonly #parts = new Tally((count) => `${count} allocations agree with the movements of their orders`);

  get finding(): Finding {
    return this.#parts.finding;
  }

  /** What is open was reserved once, what left was taken once, and what ended left nothing behind. */
  async compare(ask: Ask, { from, to }: IdRange): Promise<ReadonlyMap<string, StockOfOrder>> {
    const rows = await ask<PartRow>(
      `select coalesce(r.order_id, m.order_id) as order_id, coalesce(r.sku, m.sku) as sku,
        coalesce(r.location_id, m.location_id) as location_id, r.status, coalesce(r.quantity, 0) as quantity,
        coalesce(m.on_hand, 0) as on_hand, coalesce(m.reserved, 0) as reserved
      from (select r.order_id, a.sku, a.location_id, a.quantity, a.status from reservation r
          left join allocation a on a.order_id = r.order_id and a.order_id between $1 and $2
          where r.order_id between $1 and $2) r
        full join (select order_id, sku, location_id, sum(on_hand_delta) as on_hand, sum(reserved_delta) as reserved
          from stock_movement where order_id between $1 and $2 and kind <> 'return' group by order_id, sku, location_id) m
        using (order_id, sku, location_id)`,
      [from, to],
    );
    const parts = rows.filter(({ sku }) => sku !== null);
    const wrong = parts.filter((row) => !isExplained(row));
    this.#parts.add(
      parts.filter(({ status }) => status !== null).length,
      wrong.map(
        (row) =>
          `order ${row.order_id}: ${row.sku} at ${row.location_id} is ${row.status ?? "unknown"}, its movements differ`,
      ),
    );
    const orders = byOrder(rows);
    await addReturned(ask, { from, to }, orders);
    return orders;
  }
}

const isOpen = (status: string | null) => status === "held" || status === "confirmed";

function isExplained({ status, quantity, on_hand: onHand, reserved }: PartRow): boolean {
  const taken = status === "committed" ? -Number(quantity) : 0;
  return Number(reserved) === (isOpen(status) ? Number(quantity) : 0) && Number(onHand) === taken;
}

/** What came back is compared with what orders has of it. */
async function addReturned(ask: Ask, { from, to }: IdRange, orders: Map<string, StockOfOrder>): Promise<void> {
  const rows = await ask<{ order_id: string; level: string; pieces: string }>(
    `select order_id, sku || '@' || location_id as level, sum(on_hand_delta) as pieces from stock_movement
    where order_id between $1 and $2 and kind = 'return' group by order_id, sku, location_id`,
    [from, to],
  );
  for (const { order_id: orderId, level, pieces } of rows) {
    const stock = orders.get(orderId) ?? emptyStock();
    orders.set(orderId, stock);
    stock.returned.set(level, Number(pieces));
  }
}

function emptyStock(): StockOfOrder {
  return { open: 0, left: new Map(), returned: new Map(), promised: [] };
}

function byOrder(rows: readonly PartRow[]): Map<string, StockOfOrder> {
  const orders = new Map<string, StockOfOrder>();
  for (const { order_id: orderId, sku, location_id: locationId, status, quantity } of rows) {
    const stock = orders.get(orderId) ?? emptyStock();
    orders.set(orderId, stock);
    if (isOpen(status)) stock.open += Number(quantity);
    if ((status !== "committed" && status !== "released") || sku === null) continue;
    stock.promised.push({ sku, locationId, quantity: Number(quantity) });
    if (status === "released") continue;
    const articles = stock.left.get(locationId) ?? new Map<string, number>();
    articles.set(sku, (articles.get(sku) ?? 0) + Number(quantity));
    stock.left.set(locationId, articles);
  }
  return orders;
}
