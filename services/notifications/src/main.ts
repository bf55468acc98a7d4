import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { mailTogether } from "#platform/mail/mail-config.ts";
import { startService } from "#platform/process/service.ts";
import { notificationsConfig } from "./config.ts";
import { migrations } from "./migrations/list.ts";
import { readable } from "./migrations/readable.ts";
import { buildNotifications } from "./notifications.ts";

await startService({
  name: "notifications",
  config: notificationsConfig,
  together: mailTogether,
  database: { entities: [], migrations, readable, requestIds: false },
  build: ({ config, database, logger, output, registry, client }) =>
    buildNotifications({
      config,
      database,
      logger,
      output,
      registry,
      orders: client(OrderService, config.ORDERS_ADDRESS),
    }),
});
