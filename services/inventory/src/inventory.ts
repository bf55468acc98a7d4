import type { Registry } from "prom-client";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { AuditTrail, type AuditTrailOptions } from "#platform/audit/audit-trail.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { Database } from "#platform/database/database.ts";
import type { Logger } from "#platform/log/logger.ts";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceParts } from "#platform/process/service.ts";
import type { InventoryConfig } from "./config.ts";
import { InventoryApi } from "./inventory-api.ts";
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
}

/** The service, with what it works with. */
export interface InventoryParts extends ServiceParts {
  readonly stock: StockRepository;
  readonly reader: StockReader;
}

/** Builds the inventory service. */
export function buildInventory(context: InventoryContext): InventoryParts {
  const { config, database, registry } = context;
  const metrics = new StockMetrics(registry);
  const reader = new StockReader(database);
  const stock = new StockRepository(database, {
    maxEntries: config.STOCK_LIST_MAX,
    lanes: config.STOCK_LANES,
    metrics,
  });
  const pageTokens = new PageTokens(config.PAGE_TOKEN_SECRET);
  const api = new InventoryApi({ stock, reader, pageTokens, holdMs: config.HOLD_TTL_MS });
  const audit = new AuditTrail({ service: "inventory", ...context });
  const background = [expiring(context, stock), counting(context, { reader, metrics }), audit];
  return {
    stock,
    reader,
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
