import { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import { WarehouseConnectorService } from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import { OrderEpisodeService } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { SagaCallbackService } from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { startService } from "#platform/process/service.ts";
import { shippingConfig, warehouseTogether } from "./config.ts";
import { migrations } from "./migrations/list.ts";
import { readable } from "./migrations/readable.ts";
import { ShipmentEntity, TrackingEventEntity } from "./shipment/shipment.entity.ts";
import { buildShipping } from "./shipping.ts";

await startService({
  name: "shipping",
  config: shippingConfig,
  together: warehouseTogether,
  database: { entities: [ShipmentEntity, TrackingEventEntity], migrations, readable },
  build: ({ config, database, logger, output, registry, client }) => {
    const { WAREHOUSE_CONNECTOR_ADDRESS: warehouse } = config;
    return buildShipping({
      config,
      database,
      logger,
      output,
      registry,
      sagas: client(SagaCallbackService, config.WORKER_ADDRESS),
      orders: client(OrderEpisodeService, config.ORDERS_ADDRESS),
      carrier: client(CarrierConnectorService, config.CARRIER_CONNECTOR_ADDRESS),
      warehouse: warehouse === undefined ? undefined : client(WarehouseConnectorService, warehouse),
    });
  },
});
