import { InventoryService as InventoryServiceDescriptor } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { AuditTrail } from "#platform/audit/audit-trail.ts";
import { Relay } from "#platform/batch/relay.ts";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceContext, type ServiceParts, startService } from "#platform/process/service.ts";
import { inventoryConfig } from "./config.ts";
import { InventoryService } from "./inventory-api.ts";
import { StockMetrics } from "./metrics.ts";
import { migrations } from "./migrations/list.ts";
import { entities } from "./stock.entity.ts";
import { StockRepository } from "./stock.repository.ts";
import { StockReader } from "./stock-reader.ts";

function build(context: ServiceContext<typeof inventoryConfig>): ServiceParts {
  const { config, database, logger: log, registry } = context;
  const metrics = new StockMetrics(registry);
  const stock = new StockRepository(database, {
    maxEntries: config.STOCK_LIST_MAX,
    lanes: config.STOCK_LANES,
    metrics,
  });
  const reader = new StockReader(database);
  const sweep = () => stock.expire();
  const expiring = new Relay({ name: "ending holds", everyMs: config.EXPIRE_EVERY_MS, log, sweep });
  const countLow = async () => {
    metrics.low(await reader.lowLevels(config.LOW_STOCK_THRESHOLD));
    return 0;
  };
  const counting = new Relay({ name: "counting low stock", everyMs: config.LOW_STOCK_EVERY_MS, log, sweep: countLow });
  const service = new InventoryService({
    stock,
    reader,
    tokens: new PageTokens(config.PAGE_TOKEN_SECRET),
    holdMs: config.HOLD_TTL_MS,
  });
  const audit = new AuditTrail({ service: "inventory", ...context });
  const background = [expiring, counting, audit];
  return {
    services: [register(InventoryServiceDescriptor, service), audit.registration],
    async start() {
      for (const each of background) each.start();
    },
    async stop() {
      await Promise.all(background.map((each) => each.stop()));
      await stock.drain();
    },
  };
}

await startService({ name: "inventory", config: inventoryConfig, database: { entities, migrations }, build });
