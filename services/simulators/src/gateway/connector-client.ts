import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import { GatewayConnectorApi } from "./gateway-connector-api.ts";
import type { GatewaySimulator } from "./gateway-simulator.ts";

/** The simulated gateway as its callers see it, without a process between: for tests, and for tools that look at what a stack left. */
export function connectorClient(gateway: GatewaySimulator): Client<typeof GatewayConnectorService> {
  const api = new GatewayConnectorApi(gateway);
  const interceptors = [errorInterceptor(), validationInterceptor([GatewayConnectorService])];
  const transport = createRouterTransport((router) => router.service(GatewayConnectorService, api), {
    router: { interceptors },
  });
  return createClient(GatewayConnectorService, transport);
}
