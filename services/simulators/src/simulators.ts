import { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { WarehouseConnectorService } from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { Relay } from "#platform/batch/relay.ts";
import { register, type ServiceContext, type ServiceDefinition } from "#platform/process/service.ts";
import { batchSize, CarrierClock } from "./carrier/carrier-clock.ts";
import { CarrierConnectorApi } from "./carrier/carrier-connector-api.ts";
import { CarrierSimulator } from "./carrier/carrier-simulator.ts";
import { ReportClient } from "./carrier/report-client.ts";
import { simulatorsConfig } from "./config.ts";
import { GatewayConnectorApi } from "./gateway/gateway-connector-api.ts";
import { GatewaySimulator } from "./gateway/gateway-simulator.ts";
import { migrations } from "./migrations/list.ts";
import { readable } from "./migrations/readable.ts";
import { WarehouseConnectorApi } from "./warehouse/warehouse-connector-api.ts";
import { WarehouseSimulator } from "./warehouse/warehouse-simulator.ts";

type Context = ServiceContext<typeof simulatorsConfig>;

/** The outside world of development and tests, as connectors of ours would bring it in: nothing in production calls it. */
export const simulators: ServiceDefinition<typeof simulatorsConfig> = {
  name: "simulators",
  config: simulatorsConfig,
  database: { entities: [], migrations, readable, requestIds: false },
  build(context) {
    const { config, database: store } = context;
    const gateway = new GatewaySimulator(store, {
      slowMs: config.SIMULATOR_SLOW_MS,
      latencyMs: config.SIMULATOR_LATENCY_MS,
      partVoid: config.SIMULATOR_PART_VOID,
      captures: config.SIMULATOR_CAPTURES,
    });
    const carrier = new CarrierSimulator({
      store,
      transitMs: config.CARRIER_TRANSIT_MS,
      slowMs: config.CARRIER_SLOW_MS,
      refusedLocations: config.CARRIER_SIMULATOR_REFUSED_LOCATIONS,
    });
    const warehouse = new WarehouseSimulator({
      store,
      packingMs: config.PACKING_MS,
      spreadMs: config.PACKING_SPREAD_MS,
    });
    const reports = new ReportClient(context.client(ShippingService, config.SHIPPING_ADDRESS));
    const clock = clockOf(context, reports);
    return {
      services: [
        register(GatewayConnectorService, new GatewayConnectorApi(gateway)),
        register(CarrierConnectorService, new CarrierConnectorApi(carrier)),
        register(WarehouseConnectorService, new WarehouseConnectorApi(warehouse)),
      ],
      start: async () => clock.start(),
      async stop() {
        await clock.stop();
        await Promise.all([gateway.drain(), carrier.drain(), reports.drain()]);
      },
    };
  },
};

/** Tells shipping what time brings about. */
function clockOf({ config, database: store, logger: log }: Context, reports: ReportClient): Relay {
  const clock = new CarrierClock({ store, report: (report) => reports.report(report) });
  const everyMs = config.SWEEP_MS;
  const pace = { spacingMs: everyMs, full: batchSize };
  return new Relay({ name: "simulator.clock", everyMs, restMs: 5 * everyMs, log, pace, sweep: () => clock.sweep() });
}
