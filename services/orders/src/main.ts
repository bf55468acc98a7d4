import { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { startService } from "#platform/process/service.ts";
import { ordersConfig } from "./config.ts";
import { CustomerEntity } from "./customer/customer.ts";
import { erasedCommand } from "./erased-command.ts";
import { importCommand } from "./import/import-command.ts";
import { migrations } from "./migrations/list.ts";
import { readable } from "./migrations/readable.ts";
import { buildOrders } from "./orders.ts";
import { statisticsCommand } from "./statistics-command.ts";

await startService({
  name: "orders",
  config: ordersConfig,
  database: { entities: [CustomerEntity], migrations, readable },
  commands: { erased: erasedCommand, import: importCommand, statistics: statisticsCommand },
  build: ({ client, ...context }) =>
    buildOrders({ ...context, sagas: client(SagaService, context.config.WORKER_ADDRESS) }),
});
