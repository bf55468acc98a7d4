import pg from "pg";
import { encodeId } from "#platform/id.ts";
import { type DatabaseService, databaseServices } from "../../../services.ts";
import { StackError } from "../../../../dev/errors.ts";
import { checkAudit } from "./audit.ts";
import { checkMoney } from "./money.ts";
import { checkOrders } from "./orders.ts";
import { checkParcels } from "./parcels.ts";
import { checkStock } from "./stock.ts";
import type { Ask, EndedOrder, Finding } from "./finding.ts";

/** The state of stock and money at one moment. */
export interface Balance {
  readonly findings: readonly Finding[];
  /** Orders that have not come to their end; what they hold is theirs by right. */
  readonly underway: number;
  readonly inBalance: boolean;
}

/**
 * Compares what the services have written down, each with itself and with the others, and with what the simulated
 * outside world remembers. May run at any time: what has not come to its end is only held to what always holds.
 * @param urls a connection to each service's database that may read everything in it
 */
export async function takeBalance(urls: Readonly<Record<DatabaseService, string>>): Promise<Balance> {
  // Ended orders are read first: what belongs to them was written before, so every later look must see it.
  const ended = await askAt(urls.orders, readEndedOrders);
  const stock = await askAt(urls.inventory, checkStock);
  const money = await askAt(urls.payments, checkMoney);
  const parcels = await askAt(urls.shipping, checkParcels);
  const orders = await askAt(urls.orders, (ask) => checkOrders(ask, { ended, stock, money, parcels }));
  const audit = databaseServices.map((name) => askAt(urls[name], (ask) => checkAudit(name, ask)));
  const all = [stock, money, parcels, orders].flatMap((part) => part.findings);
  const findings = [...all, ...(await Promise.all(audit))].map(inPublicTerms);
  return { findings, underway: orders.underway, inBalance: findings.every(({ wrong }) => wrong.length === 0) };
}

/** Ids as the API shows them, so that they can be asked for. */
function inPublicTerms({ checked, wrong }: Finding): Finding {
  const uuid = /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g;
  return { checked, wrong: wrong.map((sentence) => sentence.replace(uuid, encodeId)) };
}

/**
 * Runs questions on one database in one transaction that sees one moment.
 *
 * @param url a connection that may read everything in the database
 */
export async function askAt<T>(url: string, work: (ask: Ask) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, statement_timeout: 60_000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("begin isolation level repeatable read read only");
    // A service may keep its own statements from reading whole tables; here that is what is wanted.
    for (const plan of ["seqscan", "hashjoin", "mergejoin"]) await client.query(`set local enable_${plan} = on`);
    return await work(async (sql, values = []) => (await client.query(sql, [...values])).rows);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    throw new StackError(`The balance of ${new URL(url).pathname.slice(1)} cannot be taken: ${error.message}.`);
  } finally {
    await client.end();
  }
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
