import { Gauge, type Registry } from "prom-client";
import { Relay } from "#platform/batch/relay.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { BackOrderNewsRepository } from "./news.repository.ts";

/** What the watch works with. */
export interface QueueWatchOptions {
  readonly database: Queryable;
  readonly news: Pick<BackOrderNewsRepository, "backlog">;
  readonly registry: Registry;
  readonly logger: Pick<Logger, "error">;
  readonly everyMs: number;
}

/** Articles that are shown by name: those for which orders have waited for the longest time. */
const shownMax = 20;

interface WaitedFor {
  readonly sku: string;
  readonly orders: number;
  readonly seconds: number;
  readonly skus: number;
}

/** The queues are small: of what waits for days there is little, or nobody would sell it. $1: at most so many articles. */
const waitedFor: SqlText = {
  name: "back_order_waiting",
  prepared: false,
  text: `select sku, count(*)::int as orders, greatest(0, extract(epoch from now() - min(wait_time)))::float8 as seconds,
      (count(*) over ())::int as skus
    from back_order_line group by sku order by min(wait_time), sku limit $1`,
};

const ordersWaiting: SqlText = {
  name: "back_order_count",
  prepared: false,
  text: `select count(distinct place)::int as orders,
      coalesce(greatest(0, extract(epoch from now() - min(wait_time))), 0)::float8 as seconds from back_order_line`,
};

/** Tells the metrics who waits for stock. */
export function createQueueWatch({ database, news, registry, logger, everyMs }: QueueWatchOptions): Relay {
  const gauges = createGauges(registry);
  const sweep = async () => {
    const [all] = await database.query<{ orders: number; seconds: number }>(ordersWaiting);
    const rows = await database.query<WaitedFor>(waitedFor, [shownMax]);
    gauges.orders.set(all?.orders ?? 0);
    gauges.oldest.set(all?.seconds ?? 0);
    gauges.skus.set(rows[0]?.skus ?? 0);
    gauges.untold.set(await news.backlog());
    for (const gauge of [gauges.bySku, gauges.oldestBySku]) gauge.reset();
    for (const { sku, orders, seconds } of rows) {
      gauges.bySku.set({ sku }, orders);
      gauges.oldestBySku.set({ sku }, seconds);
    }
    return 0;
  };
  return new Relay({ name: "watching back-orders", everyMs, log: logger, sweep });
}

function createGauges(registry: Registry) {
  const gauge = <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge<Label>({ name, help, labelNames, registers: [registry] });
  return {
    orders: gauge("inventory_back_orders", "Orders that wait for stock."),
    oldest: gauge(
      "inventory_oldest_back_order_seconds",
      "How long the oldest order has waited for stock; 0 when none does.",
    ),
    skus: gauge("inventory_back_ordered_skus", "Articles that orders wait for."),
    untold: gauge(
      "inventory_back_order_news_seconds",
      "How long the oldest order has stock without orders having heard of it; 0 when there is none.",
    ),
    bySku: gauge(
      "inventory_sku_back_orders",
      "Orders that wait for an article, of the 20 that are waited for the longest.",
      ["sku"],
    ),
    oldestBySku: gauge(
      "inventory_sku_oldest_back_order_seconds",
      "How long the oldest order has waited for an article, of the 20 that are waited for the longest.",
      ["sku"],
    ),
  };
}
