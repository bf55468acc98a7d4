import { encodeId } from "#platform/id.ts";
import { type DatabaseService, databaseServices } from "../../../services.ts";
import { type Ask, askAt } from "./ask.ts";
import { checkAudit } from "./audit.ts";
import { checkCarried, readOwed, readWaiting } from "./carried.ts";
import type { EndedOrder, Finding } from "./finding.ts";
import { checkMoney } from "./money.ts";
import { checkOrders } from "./orders.ts";
import { checkParcels } from "./parcels.ts";
import { type Rest, readRests } from "./rest.ts";
import { checkStock } from "./stock.ts";

/** The state of stock and money at one moment. */
export interface Balance {
  readonly findings: readonly Finding[];
  /** Orders that have not come to their end; what they hold is theirs by right. */
  readonly underway: number;
  /** Where these stand, and for how long. */
  readonly rests: readonly Rest[];
  readonly inBalance: boolean;
}

/**
 * Compares what the services have written down, each with itself and with the others, and with what the simulated
 * outside world remembers. May run at any time: what has not come to its end is only held to what always holds.
 * @param urls a connection to each service's database that may read what is compared
 * @throws BooksError when a database cannot be asked
 */
export async function takeBalance(urls: Readonly<Record<DatabaseService, string>>): Promise<Balance> {
  // Ended orders are read first: what belongs to them was written before, so every later look must see it.
  const { ended, waiting } = await askAt(urls.orders, async (ask) => ({
    ended: await readEndedOrders(ask),
    waiting: await readWaiting(ask),
  }));
  const stock = await askAt(urls.inventory, checkStock);
  const money = await askAt(urls.payments, checkMoney);
  const { parcels, owed } = await askAt(urls.shipping, async (ask) => ({
    parcels: await checkParcels(ask),
    owed: await readOwed(ask),
  }));
  const orders = await askAt(urls.orders, async (ask) => ({
    findings: await checkOrders(ask, { ended, stock, money, parcels }),
    rests: await readRests(ask),
    waiting: await readWaiting(ask),
  }));
  const underway = orders.rests.reduce((sum, rest) => sum + rest.orders, 0);
  const carried = checkCarried({ before: waiting, after: orders.waiting, owed, underway });
  const audit = databaseServices.map((name) => askAt(urls[name], (ask) => checkAudit(name, ask)));
  const all = [stock, money, parcels, orders].flatMap((part) => part.findings);
  const findings = [...all, carried, ...(await Promise.all(audit))].map(inPublicTerms);
  return {
    findings,
    underway,
    rests: orders.rests,
    inBalance: findings.every(({ wrong }) => wrong.length === 0),
  };
}

/** Ids as the API shows them, so that they can be asked for. */
function inPublicTerms({ checked, wrong }: Finding): Finding {
  const uuid = /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g;
  return { checked, wrong: wrong.map((sentence) => sentence.replace(uuid, encodeId)) };
}

async function readEndedOrders(ask: Ask): Promise<EndedOrder[]> {
  const rows = await ask<{
    order_id: string;
    status: EndedOrder["status"];
    total: string;
    shipments: EndedOrder["shipments"];
    articles: Record<string, number>;
  }>(`select o.order_id, o.status, o.total::text, o.shipments, l.articles from customer_order o
    cross join lateral (select json_object_agg(sku, quantity) as articles
      from (select sku, sum(quantity)::int as quantity from order_line where order_id = o.order_id group by sku) s) l
    where o.status in ('delivered', 'rejected', 'cancelled', 'failed')`);
  return rows.map((row) => ({
    orderId: row.order_id,
    status: row.status,
    total: BigInt(row.total),
    shipments: row.shipments,
    articles: row.articles,
  }));
}
