import { OrderEpisodeService } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { startService } from "#platform/process/service.ts";
import { inventoryConfig } from "./config.ts";
import { buildInventory } from "./inventory.ts";
import { migrations } from "./migrations/list.ts";
import { readable } from "./migrations/readable.ts";
import { StockLevelEntity } from "./stock.entity.ts";
import { importCommand } from "./stock-import-command.ts";

await startService({
  name: "inventory",
  config: inventoryConfig,
  database: { entities: [StockLevelEntity], migrations, readable },
  commands: { import: importCommand },
  build: (context) =>
    buildInventory({ ...context, orders: context.client(OrderEpisodeService, context.config.ORDERS_ADDRESS) }),
});
