import { Client } from "@temporalio/client";
import type { DataConverter } from "@temporalio/common";
import type { NativeConnection } from "@temporalio/worker";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { OrderEpisodeService } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { OrderLifecycleService } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { OrderStatisticsService } from "#gen/shop/orders/v1/order_statistics_service_pb.js";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { SagaCallbackService } from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { FulfillmentService } from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { KeyRing } from "#platform/key-ring.ts";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceContext, type ServiceParts } from "#platform/process/service.ts";
import { createActivities } from "./activities/create-activities.ts";
import { createSagaMetrics, type SagaMetrics } from "./activities/metrics.ts";
import { createScheduledActivities } from "./activities/scheduled-work.ts";
import { createLookActivities } from "./activities/shipment-look.ts";
import type { ServiceClients } from "./activities/step-work.ts";
import { Episodes } from "./api/episodes.ts";
import { LegacySagas } from "./api/legacy-sagas.ts";
import { OrderRows } from "./api/order-rows.ts";
import { SagaApi } from "./api/saga-api.ts";
import { SagaCallbackApi } from "./api/saga-callback-api.ts";
import { createLookKeeper } from "./api/shipment-look.ts";
import { TemporalCalls } from "./api/temporal-calls.ts";
import { episodeOptions, longBatchPolicy, sagaOptions, type WorkerConfig, type workerConfig } from "./config.ts";
import { codecPages } from "./payloads/codec-pages.ts";
import { CodecTokens } from "./payloads/codec-tokens.ts";
import { dataConverterOf } from "./payloads/data-converter.ts";
import { EncryptingCodec, payloadKeys } from "./payloads/payload-codec.ts";
import { ScheduleKeeper } from "./schedules/schedule-keeper.ts";
import { bundleOf } from "./temporal/bundle.ts";
import { connect, registerSearchAttributes } from "./temporal/connection.ts";
import { showCoreMetrics } from "./temporal/core-metrics.ts";
import { beginsOwnSagas, isCurrent } from "./temporal/deployment.ts";
import { showParkedSteps } from "./temporal/parked-metric.ts";
import { installRuntime } from "./temporal/runtime.ts";
import { createWorker, WorkerLoop } from "./temporal/temporal-worker.ts";
import { traceClient } from "./temporal/tracing.ts";

/** What the worker is built from. */
export type WorkerContext = Pick<ServiceContext<typeof workerConfig>, "config" | "logger" | "registry" | "client">;

/** Builds the worker, which works from then on: connects to Temporal, and takes tasks before it takes calls. */
export async function buildWorker(context: WorkerContext): Promise<ServiceParts> {
  const { config, logger, registry } = context;
  const metrics = createSagaMetrics(registry);
  const dataConverter = dataConverterOf(config);
  const { metricsUrl } = await installRuntime(logger, config.TEMPORAL_METRICS_PORT);
  showCoreMetrics(registry, metricsUrl);
  const [connection, bundle] = await Promise.all([connect(config), bundleOf(config)]);
  await registerSearchAttributes(connection, config);
  const clients = clientsOf(context);
  const activities = activitiesOf(config, clients, metrics);
  const worker = await createWorker({ connection, config, bundle, activities, dataConverter });
  const loop = new WorkerLoop(worker, connection, logger);
  // Before the listeners open: then the first look finds the worker ready.
  loop.start();
  const client = clientOver(connection, config, dataConverter);
  const calls = new TemporalCalls(client, config.TEMPORAL_TIMEOUT_MS);
  const start = { taskQueue: config.TASK_QUEUE, eagerStart: beginsOwnSagas(config) };
  const episodes = new Episodes(calls, { ...start, options: episodeOptions(config) });
  const legacy = new LegacySagas(calls, { ...start, options: sagaOptions(config) });
  const lookKeeper = createLookKeeper(calls, config.TASK_QUEUE, logger);
  const schedules = keepSchedules(context, calls, connection);
  const pageTokens = new PageTokens(config.PAGE_TOKEN_SECRET);
  const rows = new OrderRows(clients.episodes);
  showParkedSteps(registry, client, logger);
  return {
    services: [
      register(
        SagaService,
        new SagaApi({ episodes, rows, legacy, pageTokens, metrics, logger, audit: clients.orders }),
      ),
      register(SagaCallbackService, new SagaCallbackApi(legacy, logger)),
    ],
    pages: pagesOf(context),
    ready: (signal) => loop.ready(signal),
    async start() {
      lookKeeper.start();
      schedules.start();
    },
    async stop() {
      await Promise.all([lookKeeper.stop(), schedules.stop()]);
      await loop.stop();
    },
  };
}

function activitiesOf(config: WorkerConfig, clients: ServiceClients, metrics: SagaMetrics) {
  return {
    ...createActivities(clients, longBatchPolicy(config), metrics),
    ...createLookActivities(clients, config.SHIPMENT_LOOK_EVERY_MS),
    ...createScheduledActivities(clients),
  };
}

function keepSchedules(
  { config, logger, registry }: WorkerContext,
  calls: TemporalCalls,
  connection: NativeConnection,
): ScheduleKeeper {
  const { TASK_QUEUE: taskQueue, SCHEDULES_OFF: off } = config;
  const mayChange = () => calls.within(() => isCurrent(connection, config));
  return new ScheduleKeeper({ calls, taskQueue, off, mayChange, registry, log: logger });
}

function clientOver(connection: NativeConnection, config: WorkerConfig, dataConverter: DataConverter): Client {
  const interceptors = { workflow: [traceClient] };
  return new Client({ connection, namespace: config.TEMPORAL_NAMESPACE, interceptors, dataConverter });
}

/** What is encrypted is shown to nobody unless the configuration names somebody. */
function pagesOf({ config, logger }: WorkerContext): ServiceParts["pages"] & {} {
  const { CODEC_TOKENS: tokens, TEMPORAL_CODEC_KEYS: keys, TEMPORAL_NAMESPACE: namespace } = config;
  if (!tokens || !keys) return {};
  const options = { namespace, origins: config.CODEC_UI_ORIGINS, maxBytes: config.MAX_MESSAGE_BYTES, logger };
  const codec = new EncryptingCodec(new KeyRing(keys, payloadKeys), namespace);
  return { codec: codecPages({ ...options, codec, tokens: new CodecTokens(tokens) }) };
}

function clientsOf({ client, config }: WorkerContext): ServiceClients {
  return {
    orders: client(OrderLifecycleService, config.ORDERS_ADDRESS),
    episodes: client(OrderEpisodeService, config.ORDERS_ADDRESS),
    statistics: client(OrderStatisticsService, config.ORDERS_ADDRESS),
    payments: client(PaymentService, config.PAYMENTS_ADDRESS),
    inventory: client(InventoryService, config.INVENTORY_ADDRESS),
    shipping: client(ShippingService, config.SHIPPING_ADDRESS),
    fulfillment: client(FulfillmentService, config.SHIPPING_ADDRESS),
  };
}
