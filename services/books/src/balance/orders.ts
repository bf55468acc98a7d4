import type { Ask } from "./ask.ts";
import { type EndedOrder, type Finding, type ReturnedOfOrder, Tally } from "./finding.ts";
import type { MoneyOfOrder } from "./money.ts";
import type { ParcelsByOrder } from "./parcels.ts";
import type { IdRange } from "./range.ts";
import { faultsOfRestock, isOnItsWay, nothingReturned, type ReturnBounds, readReturned } from "./returns.ts";
import { faultOfShares } from "./shares.ts";
import type { StockOfOrder } from "./stock.ts";

/** What the other services know of the orders of a range, and those of these that were over before they were asked. */
export interface Others {
  readonly ended: readonly EndedOrder[];
  readonly stock: ReadonlyMap<string, StockOfOrder>;
  readonly money: ReadonlyMap<string, MoneyOfOrder>;
  readonly parcels: ParcelsByOrder;
  /** Orders that inventory has in a queue, or is about to tell of. */
  readonly queued: ReadonlySet<string>;
  /** What the orders are. */
  readonly range: IdRange;
}

/** Everything that has been set aside, charged or sent must belong to an order, and ended orders must have settled. */
export class OrderComparison {
  readonly #owners = new Tally((count) => `everything set aside, charged or sent belongs to one of ${count} orders`);
  readonly #stock = new Tally(
    (count) => `${count} ended orders have taken the stock of their parcels and hold no other`,
  );
  readonly #queued = new Tally((count) => `${count} ended orders wait for no stock`);
  readonly #money = new Tally((count) => `${count} ended orders are charged for what left, and hold no other money`);
  readonly #credits = new Tally(
    (count) => `${count} ended orders are paid by credits for what they are sent in exchange, and no others`,
  );
  readonly #returns = new Tally((count) => `${count} ended orders have what came back of them on the shelf, once`);
  readonly #shares = new Tally(
    (count) => `${count} ended orders have parcels that cost their exact parts of the total`,
  );
  readonly #parcels = new Tally((count) => `${count} ended orders agree with shipping on every parcel`);

  get findings(): Finding[] {
    const tallies = [this.#owners, this.#stock, this.#queued, this.#money, this.#credits, this.#returns, this.#shares];
    return [...tallies, this.#parcels].map(({ finding }) => finding);
  }

  /** Compares a range of orders, asking whether they are there last: an order is durable before anything is done for it. */
  async compare(ask: Ask, others: Others): Promise<void> {
    const { stock, money, parcels, queued } = others;
    const ids = [...new Set([...stock.keys(), ...money.keys(), ...parcels.keys(), ...queued])];
    const { unknown, gone } = await readMissingOrders(ask, ids);
    this.#owners.add(
      ids.length,
      unknown.map((id) => `there is no order ${id}, but stock, money or a parcel of it`),
    );
    const boundsOf = boundsBy(await readReturned(ask, others.range, "received"));
    const ended = [...others.ended, ...gone];
    this.#stock.add(
      ended.length,
      ended.flatMap((order) => faultsOfStock(order, stock.get(order.orderId))),
    );
    this.#queued.add(
      ended.length,
      ended.map(({ orderId, status }) =>
        queued.has(orderId) ? `order ${orderId} is ${status}, and waits for stock` : undefined,
      ),
    );
    this.#money.add(
      ended.length,
      ended.map((order) => faultOfMoney(order, money.get(order.orderId), boundsOf(order))),
    );
    this.#credits.add(
      ended.length,
      ended.map((order) => faultOfCredits(order, money.get(order.orderId))),
    );
    this.#returns.add(
      ended.length,
      ended.flatMap((order) => faultsOfRestock(order, stock.get(order.orderId), boundsOf(order))),
    );
    this.#shares.add(
      ended.length,
      ended.map((order) => faultOfShares(order, stock.get(order.orderId))),
    );
    this.#parcels.add(
      ended.length,
      ended.flatMap((order) => faultsOfParcels(order, parcels.get(order.orderId) ?? new Map())),
    );
  }
}

/** Which orders there are not, of those that others know: nobody knows why, or they are deleted, or were never placed. */
async function readMissingOrders(
  ask: Ask,
  ids: readonly string[],
): Promise<{ readonly unknown: string[]; readonly gone: EndedOrder[] }> {
  const missing = await ask<{ id: string; deleted: boolean; unmade: boolean; awaited: boolean }>(
    `select id, exists (select from audit_event where order_id = id and action = 'order.deleted') as deleted,
      exists (select from order_return where exchange_order_id = id and exchange_state = 'refused' and status <> 'received') as unmade,
      exists (select from order_return where exchange_order_id = id) as awaited
    from unnest($1::uuid[]) as given(id) where not exists (select from customer_order where order_id = id)`,
    [ids],
  );
  const unknown = missing.filter(({ deleted, awaited }) => !deleted && !awaited);
  const gone = missing.flatMap(({ id, deleted, unmade }) =>
    deleted || unmade ? [goneOrder(id, deleted ? "deleted" : "never placed")] : [],
  );
  return { unknown: unknown.map(({ id }) => id), gone };
}

function boundsBy(after: ReadonlyMap<string, ReturnedOfOrder>) {
  return ({ orderId, returned: least }: EndedOrder): ReturnBounds => ({
    least,
    most: after.get(orderId) ?? nothingReturned,
  });
}

/** The orders of a range that are over. */
export async function readEnded(ask: Ask, range: IdRange): Promise<EndedOrder[]> {
  const { from, to } = range;
  const returned = await readReturned(ask, range, "completed");
  const rows = await ask<{
    order_id: string;
    status: Exclude<EndedOrder["status"], "deleted">;
    total: string;
    shipments: EndedOrder["shipments"];
    imported: boolean;
    articles: Record<string, number> | null;
    lots: [sku: string, quantity: number, amount: string][] | null;
    credits: string[] | null;
  }>(
    `select order_id, o.status, o.total::text, o.shipments, l.articles, o.exchange -> 'credits' as credits,
      exists (select from imported_order i where i.order_id = o.order_id) as imported, case when o.line_amounts is not null
        and not coalesce(o.amendment ? 'partly', false) then (
        select json_agg(json_build_array(sku, quantity, amount) order by line_number)
        from (select row_number() over (order by line_number) as n, line_number, sku, quantity from order_line
          where order_line.order_id = o.order_id) line
        left join jsonb_array_elements_text(o.line_amounts) with ordinality as priced(amount, n) using (n)) end as lots
    from customer_order o
      left join (select order_id, json_object_agg(sku, quantity) as articles
        from (select order_id, sku, sum(quantity)::int as quantity from order_line
          where order_id between $1 and $2 group by order_id, sku) s
        group by order_id) l using (order_id)
    where order_id between $1 and $2 and o.status in ('delivered', 'rejected', 'cancelled', 'failed')`,
    [from, to],
  );
  return rows.map(({ order_id: orderId, status, imported, total, shipments, articles, lots, credits }) => ({
    orderId,
    status,
    imported,
    total: BigInt(total),
    shipments,
    articles: articles ?? {},
    lots: lots?.map(([sku, quantity, amount]) => ({ key: sku, quantity, amount: Number(amount) })),
    returned: returned.get(orderId) ?? nothingReturned,
    credit: (credits ?? []).reduce((sum, credit) => sum + BigInt(credit), 0n),
  }));
}

/** Of it nothing may be left anywhere. */
function goneOrder(orderId: string, status: "deleted" | "never placed"): EndedOrder {
  const nothing = { total: 0n, shipments: [], articles: {}, lots: undefined, returned: nothingReturned };
  return { orderId, status, imported: false, ...nothing, credit: undefined };
}

const hasLeft = (status: string) => ["shipped", "delivered", "lost", "returned"].includes(status);

function faultsOfStock(order: EndedOrder, own: StockOfOrder | undefined): (string | undefined)[] {
  const name = `order ${order.orderId} is ${order.status}`;
  const open = own && own.open > 0 ? `${name} and still has ${own.open} articles set aside` : undefined;
  const from = order.shipments.filter(({ status }) => hasLeft(status)).map(({ locationId }) => locationId);
  const left = [...(own?.left.keys() ?? [])];
  const isSame = left.sort().join() === from.sort().join();
  const places = isSame ? undefined : `${name}: stock left from [${left}], parcels from [${from}]`;
  return [open, places, missingArticles(order, own?.left)];
}

/** An order whose parcels all left has taken exactly what was ordered. */
function missingArticles(order: EndedOrder, left: ReadonlyMap<string, ReadonlyMap<string, number>> | undefined) {
  if (order.shipments.length === 0 || !order.shipments.every(({ status }) => hasLeft(status))) return undefined;
  const taken = new Map<string, number>();
  for (const [sku, quantity] of [...(left?.values() ?? [])].flatMap((articles) => [...articles])) {
    taken.set(sku, (taken.get(sku) ?? 0) + quantity);
  }
  const isSame =
    taken.size === Object.keys(order.articles).length && [...taken].every(([sku, n]) => order.articles[sku] === n);
  return isSame ? undefined : `order ${order.orderId}: other articles left than were ordered`;
}

function faultOfMoney(order: EndedOrder, own: MoneyOfOrder | undefined, bounds: ReturnBounds): string | undefined {
  const sum = (statuses: string[]) =>
    order.shipments.reduce(
      (total, { status, amount }) => (statuses.includes(status) ? total + BigInt(amount) : total),
      0n,
    );
  const captured = sum(["shipped", "delivered", "lost", "returned"]);
  const lost = order.shipments.reduce(
    (total, { status, amount, refunded = amount }) => (status === "lost" ? total + BigInt(refunded) : total),
    0n,
  );
  // What pays for something else instead is paid back as well.
  const refunded = (own?.refunded ?? 0n) + (own?.credited ?? 0n);
  const [least, most] = [lost + bounds.least.paid, lost + bounds.most.paid];
  const name = `order ${order.orderId} is ${order.status}`;
  if (own?.undecided && !isOnItsWay(bounds)) return `${name}, but the gateway has yet to decide something`;
  if ((own?.held ?? 0n) !== 0n) return `${name} and still holds ${own?.held} of the customer's money`;
  // It has no parcels here; what it was charged for left elsewhere.
  if (order.imported) return faultOfImported(order, own);
  if ((own?.captured ?? 0n) !== captured) return `${name}: charged ${own?.captured ?? 0}, its parcels cost ${captured}`;
  if (refunded < least || refunded > most) {
    const back = bounds.most.paid > 0n ? `, what came back ${bounds.most.paid}` : "";
    return `${name}: refunded ${refunded}, lost parcels cost ${lost}${back}`;
  }
  if (order.status === "delivered" && captured > order.total) return `${name}: charged more than its total`;
  return undefined;
}

function faultOfCredits({ orderId, status, credit }: EndedOrder, own: MoneyOfOrder | undefined): string | undefined {
  const credits = own?.credits ?? 0n;
  if (credit === undefined || credits === credit) return undefined;
  return `order ${orderId} is ${status}: its credits are ${credits}, what it is sent in exchange for pays ${credit}`;
}

function faultOfImported({ orderId, total }: EndedOrder, own: MoneyOfOrder | undefined): string | undefined {
  const captured = own?.captured ?? 0n;
  return captured > total ? `order ${orderId} was imported: charged ${captured}, it cost ${total}` : undefined;
}

function faultsOfParcels(order: EndedOrder, own: ReadonlyMap<string, string>): (string | undefined)[] {
  const ours = new Map(order.shipments.map(({ locationId, status }) => [locationId, status]));
  const known = order.shipments.map(({ locationId, status }) =>
    hasLeft(status) && own.get(locationId) !== status
      ? `order ${order.orderId}: its parcel from ${locationId} is ${status}, shipping says ${own.get(locationId) ?? "nothing"}`
      : undefined,
  );
  const unknown = [...own].map(([locationId, status]) =>
    hasLeft(status) && !hasLeft(ours.get(locationId) ?? "")
      ? `order ${order.orderId} is ${order.status}, but shipping has sent a parcel from ${locationId}`
      : undefined,
  );
  return [...known, ...unknown];
}
