import { startService } from "#platform/process/service.ts";
import { inventoryConfig } from "./config.ts";
import { buildInventory } from "./inventory.ts";
import { migrations } from "./migrations/list.ts";
import { StockLevelEntity } from "./stock.entity.ts";

await startService({
  name: "inventory",
  config: inventoryConfig,
  database: { entities: [StockLevelEntity], migrations },
  build: buildInventory,
});
