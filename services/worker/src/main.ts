import { Client } from "@temporalio/client";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { OrderLifecycleService } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { SagaCallbackService } from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { FulfillmentService } from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceContext, startService } from "#platform/process/service.ts";
import type { ServiceClients } from "./activities/clients.ts";
import { createActivities } from "./activities/create-activities.ts";
import { createSagaMetrics } from "./activities/metrics.ts";
import { createSagaService } from "./api/saga-api.ts";
import { createSagaCallbackService } from "./api/saga-callback-api.ts";
import { Sagas } from "./api/sagas.ts";
import { longListPolicy, sagaOptions, workerConfig } from "./config.ts";
import { bundleFrom } from "./temporal/bundle.ts";
import { showCoreMetrics } from "./temporal/core-metrics.ts";
import { beginsOwnSagas } from "./temporal/deployment.ts";
import { showParkedSteps } from "./temporal/parked-metric.ts";
import { installRuntime } from "./temporal/runtime.ts";
import { connect, createWorker, registerSearchAttributes, WorkerLoop } from "./temporal/temporal-worker.ts";
import { traceClient } from "./temporal/tracing.ts";

type Context = ServiceContext<typeof workerConfig>;

function clientsOf({ client, config }: Context): ServiceClients {
  return {
    orders: client(OrderLifecycleService, config.ORDERS_ADDRESS),
    payments: client(PaymentService, config.PAYMENTS_ADDRESS),
    inventory: client(InventoryService, config.INVENTORY_ADDRESS),
    shipping: client(ShippingService, config.SHIPPING_ADDRESS),
    fulfillment: client(FulfillmentService, config.SHIPPING_ADDRESS),
  };
}

function bundleOf({ WORKFLOW_BUNDLE: codePath, WORKFLOW_BUNDLE_FOLDER: folder }: Context["config"]) {
  return codePath === undefined ? bundleFrom(folder) : { codePath };
}

await startService({
  name: "worker",
  config: workerConfig,
  async build(context) {
    const { config, logger, registry } = context;
    const metrics = createSagaMetrics(registry);
    const { metricsUrl } = await installRuntime(logger, config.TEMPORAL_METRICS_PORT);
    showCoreMetrics(registry, metricsUrl);
    const [connection, bundle] = await Promise.all([connect(config), bundleOf(config)]);
    await registerSearchAttributes(connection, config);
    const clients = clientsOf(context);
    const activities = createActivities(clients, longListPolicy(config), metrics);
    const loop = new WorkerLoop(await createWorker({ connection, config, bundle, activities }), connection, logger);
    // Before the listeners open: then the first look finds the worker ready.
    loop.start();
    const interceptors = { workflow: [traceClient] };
    const client = new Client({ connection, namespace: config.TEMPORAL_NAMESPACE, interceptors });
    const sagas = new Sagas({
      client,
      taskQueue: config.TASK_QUEUE,
      options: sagaOptions(config),
      timeoutMs: config.TEMPORAL_TIMEOUT_MS,
      eagerStart: beginsOwnSagas(config),
    });
    const pageTokens = new PageTokens(config.PAGE_TOKEN_SECRET);
    showParkedSteps(registry, client, logger);
    return {
      services: [
        register(SagaService, createSagaService({ sagas, pageTokens, metrics, audit: clients.orders })),
        register(SagaCallbackService, createSagaCallbackService(sagas, logger)),
      ],
      ready: (signal) => loop.ready(signal),
      stop: () => loop.stop(),
    };
  },
});
