import { PassThrough } from "node:stream";
import type { DescService } from "@bufbuild/protobuf";
import {
  type Client,
  type ConnectRouter,
  createClient,
  createRouterTransport,
  type Transport,
} from "@connectrpc/connect";
import { Registry } from "prom-client";
import { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { WarehouseConnectorService } from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import { OrderEpisodeService, type ReportShipmentRequest } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { SagaCallbackService, type ShipmentReport } from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { FulfillmentService } from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { loadConfig, platformConfig } from "#platform/config.ts";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import type { ServiceParts } from "#platform/process/service.ts";
import { keptLog, quietLogger } from "#testing/logger.ts";
import { simulatorsConfig } from "../../simulators/src/config.ts";
import { simulators } from "../../simulators/src/simulators.ts";
import { shippingConfig } from "../src/config.ts";
import { buildShipping } from "../src/shipping.ts";
import type { World } from "./world.ts";

const services = [ShippingService, FulfillmentService];
const outsideServices = [GatewayConnectorService, CarrierConnectorService, WarehouseConnectorService];

/** The service with its relays and simulators, called in memory through the interceptors that it has in production. */
export interface Process extends AsyncDisposable {
  readonly shipping: Client<typeof ShippingService>;
  readonly fulfillment: Client<typeof FulfillmentService>;
  readonly registry: Registry;
  /** What the worker was told. */
  readonly heard: ShipmentReport[];
  /** The trace context that came with each of them; empty when there was none. */
  readonly heardIn: string[];
  /** What orders was told. */
  readonly news: ReportShipmentRequest[];
  /** The trace context that came with each of them; empty when there was none. */
  readonly newsIn: string[];
  /** Everything that was logged, and the audit log as it was published. */
  readonly log: () => string;
}

/** The master key of a process: addresses are sealed. */
export const masterKeys = `test ${Buffer.alloc(32, "k").toString("base64")}`;

/** Starts one process on the world's database; its simulators go by the real time. */
export async function startProcess(world: World, changes: Record<string, string> = {}): Promise<Process> {
  const connectors = { CARRIER_CONNECTOR_ADDRESS: "simulators:1", WAREHOUSE_CONNECTOR_ADDRESS: "simulators:1" };
  const packs = { WAREHOUSE: "connector", ...connectors };
  const own = { PAGE_TOKEN_SECRET: "s".repeat(32), DATABASE_URL: world.test.url, SWEEP_MS: "10", ...packs };
  const env = { ...own, TOKEN_ISSUERS: "none", PERSONAL_DATA_KEYS: masterKeys, ...changes };
  const config = loadConfig({ ...platformConfig, ...shippingConfig }, env);
  const { logger, text } = keptLog("shipping");
  const published: string[] = [];
  const output = new PassThrough().on("data", (line) => published.push(String(line)));
  const { database } = world.test;
  const heard: ShipmentReport[] = [];
  const heardIn: string[] = [];
  const registry = new Registry();
  const sagas = createClient(SagaCallbackService, workerTransport(heard, heardIn));
  const news: ReportShipmentRequest[] = [];
  const newsIn: string[] = [];
  const orders = createClient(OrderEpisodeService, ordersTransport(news, newsIn));
  const outside = await startOutside(world, env, () => createClient(ShippingService, transport));
  const { carrier, warehouse } = outside;
  const parts = buildShipping({ config, database, logger, output, registry, sagas, orders, carrier, warehouse });
  const transport = transportTo(parts, services);
  await parts.start?.();
  await outside.parts.start?.();
  return {
    shipping: createClient(ShippingService, transport),
    fulfillment: createClient(FulfillmentService, transport),
    registry,
    heard,
    heardIn,
    news,
    newsIn,
    log: () => text() + published.join(""),
    async [Symbol.asyncDispose]() {
      await outside.parts.stop?.();
      await parts.stop?.();
    },
  };
}

/** The simulated carrier and warehouse, which tell shipping what happens. */
async function startOutside(world: World, env: Record<string, string>, shipping: () => Client<typeof ShippingService>) {
  const config = loadConfig(
    { ...platformConfig, ...simulatorsConfig },
    { ...env, DATABASE_URL: world.outside.url, GRPC_PORT: "0", HTTP_PORT: "0" },
  );
  const told: Pick<Client<typeof ShippingService>, "reportTrackingEvents"> = {
    reportTrackingEvents: (...args) => shipping().reportTrackingEvents(...args),
  };
  const context = { config, database: world.outside.database, logger: quietLogger(), client: () => told };
  const parts = await simulators.build(context as unknown as Parameters<typeof simulators.build>[0]);
  const transport = transportTo(parts, outsideServices);
  return {
    parts,
    carrier: createClient(CarrierConnectorService, transport),
    warehouse: createClient(WarehouseConnectorService, transport),
  };
}

function transportTo(parts: ServiceParts, validated: readonly DescService[]): Transport {
  const interceptors = [contextInterceptor(30_000), errorInterceptor(), validationInterceptor([...validated])];
  const route = (router: ConnectRouter) => {
    for (const service of parts.services) service.route(router);
  };
  return createRouterTransport(route, { router: { interceptors } });
}

function workerTransport(heard: ShipmentReport[], heardIn: string[]) {
  return createRouterTransport(({ service }) =>
    service(SagaCallbackService, {
      batchReportShipments: ({ reports, traceparents }) => {
        heard.push(...reports);
        heardIn.push(...reports.map((_, index) => traceparents[index] ?? ""));
        return { taken: reports.map(() => true) };
      },
    }),
  );
}

function ordersTransport(news: ReportShipmentRequest[], newsIn: string[]) {
  return createRouterTransport(({ service }) =>
    service(OrderEpisodeService, {
      batchReportShipments: ({ requests, traceparents }) => {
        news.push(...requests);
        newsIn.push(...requests.map((_, index) => traceparents[index] ?? ""));
        return { outcomes: requests.map(() => ({ outcome: { case: "response", value: {} } })) };
      },
    }),
  );
}
