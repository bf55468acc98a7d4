import type { Client } from "@connectrpc/connect";
import type { Registry } from "prom-client";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import type { OrderEpisodeService } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { AuditTrail, type AuditTrailOptions } from "#platform/audit/audit-trail.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { Database } from "#platform/database/database.ts";
import { createEventFeed } from "#platform/events/event-feed.ts";
import type { Logger } from "#platform/log/logger.ts";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceParts } from "#platform/process/service.ts";
import { BackOrderNewsRepository } from "./back-order/news.repository.ts";
import { BackOrderNews } from "./back-order/news.ts";
import { createQueueWatch } from "./back-order/queue-watch.ts";
import { Turns } from "./back-order/turns.ts";
import type { InventoryConfig } from "./config.ts";
import { InventoryApi } from "./inventory-api.ts";
import { inventoryEvents } from "./inventory-events.ts";
import { StockMetrics } from "./metrics.ts";
import { StockRepository } from "./stock.repository.ts";
import { StockReader } from "./stock-reader.ts";

/** What the inventory service is built from; a test gives its own. */
export interface InventoryContext {
  readonly config: InventoryConfig;
  readonly database: Database;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Where the audit log is published: where the logger writes. */
  readonly output: AuditTrailOptions["output"];
  /** Told of orders whose turn has come. */
  readonly orders: Pick<Client<typeof OrderEpisodeService>, "batchReportStock">;
}

/** The service, with what it works with. */
export interface InventoryParts extends ServiceParts {
  readonly stock: StockRepository;
  readonly reader: StockReader;
  /** Serves orders that wait for stock, and tells orders so. */
  readonly backOrders: BackOrderParts;
}

/** Builds the inventory service. */
export function buildInventory(context: InventoryContext): InventoryParts {
  const { config, database, registry } = context;
  const metrics = new StockMetrics(registry);
  const reader = new StockReader(database);
  const stock = new StockRepository(database, {
    maxEntries: config.STOCK_LIST_MAX,
    lanes: config.STOCK_LANES,
    queueMax: config.BACK_ORDERS_MAX,
    lowAt: config.STOCK_EVENT_THRESHOLD,
    metrics,
    onStock: (skus) => backOrders.turns.heard(skus),
    onServed: (orders) => backOrders.teller.nudge(orders),
  });
  const backOrders = buildBackOrders(context, stock);
  const pageTokens = new PageTokens(config.PAGE_TOKEN_SECRET);
  const api = new InventoryApi({ stock, reader, pageTokens, holdMs: config.HOLD_TTL_MS });
  const audit = new AuditTrail({ service: "inventory", ...context });
  const events = createEventFeed({ service: "inventory", ...context, types: inventoryEvents });
  const { turns, teller, watch } = backOrders;
  const sweeps = [expiring(context, stock), counting(context, { reader, metrics })];
  const background = [...sweeps, turns, teller, watch, audit, events];
  return {
    stock,
    reader,
    backOrders,
    services: [register(InventoryService, api), audit.registration],
    async start() {
      for (const each of background) each.start();
    },
    async stop() {
      await Promise.all(background.map((each) => each.stop()));
      await stock.drain();
    },
  };
}

/** What serves orders that wait for stock. */
interface BackOrderParts {
  readonly turns: Turns;
  readonly news: BackOrderNews;
  readonly teller: Relay;
  readonly watch: Relay;
}

/** While nothing is due, looks are up to so many times as far apart. */
const rests = 5;

function buildBackOrders(context: InventoryContext, stock: StockRepository): BackOrderParts {
  const { config, database, logger, registry, orders } = context;
  const everyMs = config.BACK_ORDERS_EVERY_MS;
  const repository = new BackOrderNewsRepository(database);
  const news = new BackOrderNews({ repository, orders, stock, logger, timeoutMs: config.ORDERS_TIMEOUT_MS });
  const teller = new Relay({
    name: "telling of back-orders",
    everyMs,
    restMs: rests * everyMs,
    log: logger,
    sweep: (signal) => news.sweep(signal),
  });
  const watch = createQueueWatch({ database, news: repository, registry, logger, everyMs: rests * everyMs });
  return { turns: new Turns({ stock, logger, everyMs }), news, teller, watch };
}

function expiring({ config, logger: log }: InventoryContext, stock: StockRepository): Relay {
  const sweep = () => stock.expire();
  return new Relay({ name: "ending holds", everyMs: config.EXPIRE_EVERY_MS, log, sweep });
}

function counting(
  { config, logger: log }: InventoryContext,
  { reader, metrics }: { reader: StockReader; metrics: StockMetrics },
): Relay {
  const sweep = async () => {
    metrics.low(await reader.lowLevels(config.LOW_STOCK_THRESHOLD));
    return 0;
  };
  return new Relay({ name: "counting low stock", everyMs: config.LOW_STOCK_EVERY_MS, log, sweep });
}
