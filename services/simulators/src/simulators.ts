import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { register, type ServiceDefinition } from "#platform/process/service.ts";
import { simulatorsConfig } from "./config.ts";
import { GatewayConnectorApi } from "./gateway/gateway-connector-api.ts";
import { GatewaySimulator } from "./gateway/gateway-simulator.ts";
import { migrations } from "./migrations/list.ts";
import { readable } from "./migrations/readable.ts";

/** The outside world of development and tests, as connectors of ours would bring it in: nothing in production calls it. */
export const simulators: ServiceDefinition<typeof simulatorsConfig> = {
  name: "simulators",
  config: simulatorsConfig,
  database: { entities: [], migrations, readable, requestIds: false },
  build({ config, database }) {
    const gateway = new GatewaySimulator(database, {
      slowMs: config.SIMULATOR_SLOW_MS,
      latencyMs: config.SIMULATOR_LATENCY_MS,
    });
    return {
      services: [register(GatewayConnectorService, new GatewayConnectorApi(gateway))],
      stop: () => gateway.drain(),
    };
  },
};
