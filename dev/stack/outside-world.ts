import { createClient, createRouterTransport } from "@connectrpc/connect";
import { Registry } from "prom-client";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { loadConfig } from "#platform/config.ts";
import { Database } from "#platform/database/database.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import { createLogger } from "#platform/log/logger.ts";
import type { GatewayList } from "../../services/books/src/balance/gateway-reader.ts";
import { stripeConfig } from "../../services/connectors/src/stripe/config.ts";
import { StripeMetrics } from "../../services/connectors/src/stripe/metrics.ts";
import { composeStripe } from "../../services/connectors/src/stripe/stripe.ts";
import { openSimulatedWorld, type SimulatedWorld } from "./simulated-world.ts";
import type { Stack } from "./stack.ts";

/** What the card gateway and the carrier of a stack did, as their connectors remember it, whether their processes run or not. */
export async function openOutsideWorld(stack: Stack): Promise<SimulatedWorld> {
  await using opened = new AsyncDisposableStack();
  const { carrier, gateway: simulated } = opened.use(
    await openSimulatedWorld(stack.databaseUrl("simulators", "postgres")),
  );
  const [connector] = stack.connectors;
  const gateway = connector
    ? opened.use(await openStripe(stack.databaseUrl(connector, "postgres"))).gateway
    : simulated;
  const everything = opened.move();
  return { gateway, carrier, [Symbol.asyncDispose]: () => everything.disposeAsync() };
}

/** @param url a connection to the database of the connector */
async function openStripe(url: string): Promise<AsyncDisposable & { readonly gateway: GatewayList }> {
  const database = await Database.open({ url, name: "books-stripe", entities: [], poolMax: 1 });
  const config = loadConfig(stripeConfig, { DATABASE_URL: url, STRIPE_SECRET_KEY: "sk_unused" });
  const { logger: log } = createLogger({ name: "books-stripe", level: "error" });
  const { api } = composeStripe(config, database, { log, metrics: new StripeMetrics(new Registry()) });
  const interceptors = [errorInterceptor(), validationInterceptor([GatewayConnectorService])];
  const transport = createRouterTransport((router) => router.service(GatewayConnectorService, api), {
    router: { interceptors },
  });
  return {
    gateway: createClient(GatewayConnectorService, transport),
    [Symbol.asyncDispose]: () => database.close(),
  };
}
