import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { WarehouseConnectorService } from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import { CarrierConnectorApi } from "./carrier/carrier-connector-api.ts";
import type { CarrierSimulator } from "./carrier/carrier-simulator.ts";
import { GatewayConnectorApi } from "./gateway/gateway-connector-api.ts";
import type { GatewaySimulator } from "./gateway/gateway-simulator.ts";
import { WarehouseConnectorApi } from "./warehouse/warehouse-connector-api.ts";
import type { WarehouseSimulator } from "./warehouse/warehouse-simulator.ts";

/** The simulated gateway as its callers see it, without a process between: for tests, and for tools that look at what a stack left. */
export function connectorClient(gateway: GatewaySimulator): Client<typeof GatewayConnectorService> {
  return clientOf(GatewayConnectorService, new GatewayConnectorApi(gateway));
}

/** The same of the simulated carrier. */
export function carrierClient(carrier: CarrierSimulator): Client<typeof CarrierConnectorService> {
  return clientOf(CarrierConnectorService, new CarrierConnectorApi(carrier));
}

/** The same of the simulated warehouse. */
export function warehouseClient(warehouse: WarehouseSimulator): Client<typeof WarehouseConnectorService> {
  return clientOf(WarehouseConnectorService, new WarehouseConnectorApi(warehouse));
}

function clientOf<S extends DescService>(service: S, api: ServiceImpl<S>): Client<S> {
  const interceptors = [errorInterceptor(), validationInterceptor([service])];
  const transport = createRouterTransport((router) => router.service(service, api), { router: { interceptors } });
  return createClient(service, transport);
}
