import type { Ask } from "./ask.ts";
import { type EndedOrder, type Finding, maxNamed } from "./finding.ts";
import type { MoneyBalance } from "./money.ts";
import type { ParcelBalance } from "./parcels.ts";
import type { StockBalance } from "./stock.ts";

/** What the other services know, and the orders that were over before they were asked. */
export interface Others {
  readonly ended: readonly EndedOrder[];
  readonly stock: StockBalance;
  readonly money: MoneyBalance;
  readonly parcels: ParcelBalance;
}

/** Everything that has been set aside, charged or sent must belong to an order, and ended orders must have settled. */
export async function checkOrders(ask: Ask, others: Others): Promise<Finding[]> {
  return [
    await checkOwners(ask, others),
    checkStockOfEnded(others),
    checkMoneyOfEnded(others),
    checkParcelsOfEnded(others),
  ];
}

/** Orders are read last: an order is durable before anything is done for it. */
async function checkOwners(ask: Ask, { stock, money, parcels }: Others): Promise<Finding> {
  const ids = [...new Set([...stock.byOrder.keys(), ...money.byOrder.keys(), ...parcels.byOrder.keys()])];
  const rows = await ask<{ id: string }>(
    "select id from unnest($1::uuid[]) as given(id) where not exists (select from customer_order where order_id = id)",
    [ids],
  );
  return {
    checked: `everything set aside, charged or sent belongs to one of ${ids.length} orders`,
    wrong: rows.slice(0, maxNamed).map(({ id }) => `there is no order ${id}, but stock, money or a parcel of it`),
  };
}

function named(wrong: readonly (string | undefined)[]): string[] {
  return wrong.filter((sentence) => sentence !== undefined).slice(0, maxNamed);
}

const hasLeft = (status: string) => ["shipped", "delivered", "lost"].includes(status);

function checkStockOfEnded({ ended, stock }: Others): Finding {
  const wrong = ended.flatMap((order) => {
    const own = stock.byOrder.get(order.orderId);
    const open =
      own && own.open > 0
        ? `order ${order.orderId} is ${order.status} and still has ${own.open} articles set aside`
        : undefined;
    const from = order.shipments.filter(({ status }) => hasLeft(status)).map(({ locationId }) => locationId);
    const left = [...(own?.left.keys() ?? [])];
    const places =
      left.sort().join() === from.sort().join()
        ? undefined
        : `order ${order.orderId} is ${order.status}: stock left from [${left}], parcels from [${from}]`;
    return [open, places, missingArticles(order, own?.left)];
  });
  return {
    checked: `${ended.length} ended orders have taken the stock of their parcels and hold no other`,
    wrong: named(wrong),
  };
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

function checkMoneyOfEnded({ ended, money }: Others): Finding {
  const wrong = ended.map((order) => {
    const own = money.byOrder.get(order.orderId);
    const sum = (statuses: string[]) =>
      order.shipments.reduce(
        (total, { status, amount }) => (statuses.includes(status) ? total + BigInt(amount) : total),
        0n,
      );
    const captured = sum(["shipped", "delivered", "lost"]);
    const refunded = sum(["lost"]);
    const name = `order ${order.orderId} is ${order.status}`;
    if (own?.undecided) return `${name}, but the gateway has yet to decide something`;
    if ((own?.held ?? 0n) !== 0n) return `${name} and still holds ${own?.held} of the customer's money`;
    if ((own?.captured ?? 0n) !== captured)
      return `${name}: charged ${own?.captured ?? 0}, its parcels cost ${captured}`;
    if ((own?.refunded ?? 0n) !== refunded)
      return `${name}: refunded ${own?.refunded ?? 0}, lost parcels cost ${refunded}`;
    if (order.status === "delivered" && captured > order.total) return `${name}: charged more than its total`;
    return undefined;
  });
  return {
    checked: `${ended.length} ended orders are charged for what left, and hold no other money`,
    wrong: named(wrong),
  };
}

function checkParcelsOfEnded({ ended, parcels }: Others): Finding {
  const wrong = ended.flatMap((order) => {
    const own = parcels.byOrder.get(order.orderId) ?? new Map<string, string>();
    const ours = new Map(order.shipments.map(({ locationId, status }) => [locationId, status]));
    const parcelsOfOrder = order.shipments.map(({ locationId, status }) =>
      hasLeft(status) && own.get(locationId) !== status
        ? `order ${order.orderId}: its parcel from ${locationId} is ${status}, shipping says ${own.get(locationId) ?? "nothing"}`
        : undefined,
    );
    const unknown = [...own].map(([locationId, status]) =>
      hasLeft(status) && !hasLeft(ours.get(locationId) ?? "")
        ? `order ${order.orderId} is ${order.status}, but shipping has sent a parcel from ${locationId}`
        : undefined,
    );
    return [...parcelsOfOrder, ...unknown];
  });
  return { checked: `${ended.length} ended orders agree with shipping on every parcel`, wrong: named(wrong) };
}
