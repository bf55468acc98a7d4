import { OrderEpisodeService } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { SagaCallbackService } from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { startService } from "#platform/process/service.ts";
import { shippingConfig } from "./config.ts";
import { migrations } from "./migrations/list.ts";
import { readable } from "./migrations/readable.ts";
import { ShipmentEntity, TrackingEventEntity } from "./shipment/shipment.entity.ts";
import { buildShipping } from "./shipping.ts";

await startService({
  name: "shipping",
  config: shippingConfig,
  database: { entities: [ShipmentEntity, TrackingEventEntity], migrations, readable },
  build: ({ config, database, logger, output, registry, client }) =>
    buildShipping({
      config,
      database,
      logger,
      output,
      registry,
      sagas: client(SagaCallbackService, config.WORKER_ADDRESS),
      orders: client(OrderEpisodeService, config.ORDERS_ADDRESS),
    }),
});
