import {
  type ConnectRouter,
  createClient,
  createRouterTransport,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { Client, type WorkflowHandleWithFirstExecutionRunId } from "@temporalio/client";
import { TestWorkflowEnvironment } from "@temporalio/testing";
import { DefaultLogger, Runtime, Worker, type WorkerOptions } from "@temporalio/worker";
import { Registry } from "prom-client";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { OrderEpisodeService } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { OrderLifecycleService } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { OrderStatisticsService } from "#gen/shop/orders/v1/order_statistics_service_pb.js";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { FulfillmentService } from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { tool } from "../../../../dev/tools/tool.ts";
import { createActivities } from "../../src/activities/create-activities.ts";
import type { LongBatchPolicy } from "../../src/activities/long-batch.ts";
import { createSagaMetrics } from "../../src/activities/metrics.ts";
import { createScheduledActivities } from "../../src/activities/scheduled-work.ts";
import { createLookActivities } from "../../src/activities/shipment-look.ts";
import type { ServiceClients } from "../../src/activities/step-work.ts";
import { bundleFrom } from "../../src/temporal/bundle.ts";
import { bundleFolder } from "../../src/temporal/temporal-config.ts";
import { workOf } from "../../src/temporal/temporal-worker.ts";
import { traceClient } from "../../src/temporal/tracing.ts";
import { withLeanThreads } from "../../src/temporal/workflow-threads.ts";
import type { EpisodeOptions } from "../../src/workflows/engine/options.ts";
import {
  customerIdsAttribute,
  orderIdsAttribute,
  parkedOrderIdsAttribute,
} from "../../src/workflows/engine/search-attributes.ts";
import { defaultOptions, type SagaOptions } from "../../src/workflows/legacy/engine/options.ts";
import { newOrderState, type SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import type { processOrders } from "../../src/workflows/legacy/process-orders.ts";
import type { OrderRows } from "../world/order-rows.ts";
import { shippingRoutes } from "../world/shipping-routes.ts";
import { shopRoutes } from "../world/shop-routes.ts";
import type { World } from "../world/world.ts";
import { dataConverter } from "./encryption.ts";

/** Short waits, so that what takes minutes in production takes parts of a second. */
export const fastOptions: SagaOptions = {
  ...defaultOptions,
  stepTimeoutMs: 2_000,
  attempts: 3,
  firstRetryMs: 20,
  maxRetryMs: 50,
  patienceMs: 10_000,
  checkoutPatienceMs: 60_000,
  pollMs: 50,
  longStepMs: 400,
  heartbeatMs: 3_000,
  pendingFirstMs: 20,
  pendingMaxMs: 100,
};

/** The same for episodes. */
export const fastEpisodes: EpisodeOptions = {
  stepTimeoutMs: 2_000,
  attempts: 2,
  firstRetryMs: 10,
  maxRetryMs: 20,
  checkoutPatienceMs: 60_000,
  awayFirstMs: 20,
  awayMaxMs: 100,
  approvalPauseMs: 200,
  settlePatienceMs: 10_000,
};

/** Long activities that look often and do not wait for each other. */
export const fastLong: LongBatchPolicy = { boundMs: 400, graceMs: 0, firstLookMs: 10 };

export const taskQueue = "test";
export const searchAttributes = [orderIdsAttribute, customerIdsAttribute, parkedOrderIdsAttribute];

let installed = false;
let bundle: ReturnType<typeof bundleFrom> | undefined;

/** The bundle of the worker's workflows; made once. */
export function bundleOf(): ReturnType<typeof bundleFrom> {
  if (!installed) Runtime.install({ logger: new DefaultLogger("ERROR") });
  installed = true;
  bundle ??= bundleFrom(bundleFolder);
  return bundle;
}

/** A real Temporal development server. */
export async function localEnvironment(): Promise<TestWorkflowEnvironment> {
  await bundleOf();
  const path = await tool("temporal");
  return TestWorkflowEnvironment.createLocal({
    client: { dataConverter },
    server: { executable: { type: "existing-path", path }, searchAttributes },
  });
}

/** How often a server is started whose Java was too slow: the SDK gives it five seconds, whatever the machine does. */
const javaStarts = 5;

/** The test server that skips the time in which nothing happens. */
export async function timeSkippingEnvironment(): Promise<TestWorkflowEnvironment> {
  await bundleOf();
  const path = await tool("temporal-test-server");
  const server = { executable: { type: "existing-path" as const, path } };
  process.env.JDK_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto";
  const environment = await persistently(() =>
    TestWorkflowEnvironment.createTimeSkipping({ client: { dataConverter }, server }),
  );
  // KEYWORD_LIST is 7; the test server does not take attributes at its start.
  const attributes = Object.fromEntries(searchAttributes.map(({ name }) => [name, 7]));
  await environment.connection.operatorService.addSearchAttributes({ searchAttributes: attributes });
  return environment;
}

async function persistently<T>(start: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (attempt === javaStarts) throw error;
    }
  }
}

/** Clients of all services over one transport. */
export function clientsOver(transport: Transport): ServiceClients {
  return {
    orders: createClient(OrderLifecycleService, transport),
    episodes: createClient(OrderEpisodeService, transport),
    statistics: createClient(OrderStatisticsService, transport),
    payments: createClient(PaymentService, transport),
    inventory: createClient(InventoryService, transport),
    shipping: createClient(ShippingService, transport),
    fulfillment: createClient(FulfillmentService, transport),
  };
}

/** Clients of the fake services, in this process. */
export function clientsOf(world: World, rows?: OrderRows, real: Partial<ServiceClients> = {}): ServiceClients {
  const noting: Interceptor = (next) => (request) => {
    if (!request.stream && "traceparents" in request.message) {
      world.traceparents.push({ method: request.method.name, traceparents: request.message.traceparents as string[] });
    }
    return next(request);
  };
  const routes = (router: ConnectRouter) => {
    shopRoutes(router, world);
    shippingRoutes(router, world);
    rows?.routes(router);
  };
  return { ...clientsOver(createRouterTransport(routes, { transport: { interceptors: [noting] } })), ...real };
}

const dayMs = 86_400_000;

/** What a worker may have that others have not. */
export interface WorkerSurroundings {
  readonly rows?: OrderRows;
  /** Services that are no fakes. */
  readonly real?: Partial<ServiceClients>;
  /** How long after a look at silent parcels there is another one; a day. */
  readonly lookEveryMs?: number;
}

/**
 * A worker that runs the saga, and the look at silent parcels, against the fakes.
 */
export async function workerFor(
  environment: TestWorkflowEnvironment,
  world: World,
  options: Partial<WorkerOptions> = {},
  { rows, real, lookEveryMs = dayMs }: WorkerSurroundings = {},
): Promise<Worker> {
  const clients = clientsOf(world, rows, real);
  const activities = {
    ...createActivities(clients, fastLong, createSagaMetrics(new Registry())),
    ...createLookActivities(clients, lookEveryMs),
    ...createScheduledActivities(clients),
  };
  const work = workOf(await bundleOf(), activities, dataConverter);
  return withLeanThreads(() =>
    Worker.create({
      connection: environment.nativeConnection,
      ...(environment.namespace ? { namespace: environment.namespace } : {}),
      taskQueue,
      ...work,
      stickyQueueScheduleToStartTimeout: "1s",
      ...options,
    }),
  );
}

let made = 0;

/** An order of two articles, 25.00 EUR in all. */
export function anOrder(changes: Partial<SagaOrder> = {}): SagaOrder {
  const number = String(made++).padStart(4, "0");
  return {
    orderId: `01ORDER${number}AAAAAAAAAAAAAAA`.replace("O", "0"),
    customerId: "01CVST0MERAAAAAAAAAAAAAAAA",
    lines: [
      { sku: "tea", quantity: 2, unitPrice: 1_000 },
      { sku: "cup", quantity: 1, unitPrice: 500 },
    ],
    total: { currency: "EUR", amount: 2_500 },
    address: { recipient: "A. Person", lines: ["Street 1"], city: "Berlin", postalCode: "10115", country: "DE" },
    cardToken: "tok_approve",
    traceparent: "",
    ...changes,
  };
}

/** Starts the saga of a batch; eagerly, when a worker of this process shares the environment's connection. */
export function startSaga(
  environment: TestWorkflowEnvironment,
  orders: SagaOrder[],
  options: Partial<SagaOptions> = {},
  workflowTaskTimeout: "2s" | "5s" = "5s",
): Promise<WorkflowHandleWithFirstExecutionRunId<typeof processOrders>> {
  // The server that skips time wants its own client.
  const eager = !environment.supportsTimeSkipping;
  const client = eager
    ? new Client({ connection: environment.nativeConnection, dataConverter, interceptors: { workflow: [traceClient] } })
    : environment.client;
  return client.workflow.start<typeof processOrders>("processOrders", {
    taskQueue,
    requestEagerStart: eager,
    workflowId: `saga-${orders[0]?.orderId}`,
    args: [{ orders: orders.map(newOrderState), options: { ...fastOptions, ...options } }],
    typedSearchAttributes: [{ key: orderIdsAttribute, value: orders.map(({ orderId }) => orderId) }],
    workflowTaskTimeout,
  });
}
