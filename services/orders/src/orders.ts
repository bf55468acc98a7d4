import type { Client } from "@connectrpc/connect";
import type { Registry } from "prom-client";
import { CustomerService } from "#gen/shop/orders/v1/customer_service_pb.js";
import { OrderLifecycleService } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import type { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { AuditTrail } from "#platform/audit/audit-trail.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { ConfigOf, PlatformConfig } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import type { Logger } from "#platform/log/logger.ts";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceParts, type ServiceRegistration } from "#platform/process/service.ts";
import { CustomerApi } from "./api/customer-api.ts";
import { OrderApi } from "./api/order-api.ts";
import { OrderLifecycleApi } from "./api/order-lifecycle-api.ts";
import type { ordersConfig } from "./config.ts";
import { CustomerRepository } from "./customer/customer.repository.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import { type CancelOrder, OrderCancellation } from "./dispatch/order-cancellation.ts";
import { RefusedStarts } from "./dispatch/refused-starts.ts";
import { SagaOutbox } from "./dispatch/saga-outbox.repository.ts";
import { createSagaRelay } from "./dispatch/saga-relay.ts";
import { ChangeHub } from "./follow/change-hub.ts";
import { OrderFollower } from "./follow/order-follower.ts";
import { AuditedRequests } from "./order/audited-requests.repository.ts";
import { createOrderMetrics, type OrderMetrics } from "./order/metrics.ts";
import { OrderRepository } from "./order/order.repository.ts";
import { cancelRequestEntry, type StepDecisionRequest, stepDecisionEntry } from "./order/order-audit.ts";
import { OrderIntake } from "./order/order-intake.ts";
import { OrderMover } from "./order/order-mover.ts";
import { changeChannel } from "./order/order-transition.repository.ts";

/** What the orders service is built from; a test gives its own. */
export interface OrdersContext {
  readonly config: ConfigOf<typeof ordersConfig> &
    Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
    Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME">>;
  readonly database: Database;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly sagas: Client<typeof SagaService>;
  /** Fires when who waits for a change should be answered, because the process stops. */
  readonly closing: AbortSignal;
  /** Where the audit log is published: where the logger writes. */
  readonly output: NodeJS.WritableStream;
}

/** Between two looks at how long orders wait for their first answer, in milliseconds. */
const pendingEveryMs = 2_000;

/** What every subject of the service builds on. */
interface Ground extends OrdersContext {
  readonly metrics: OrderMetrics;
  readonly repository: OrderRepository;
  readonly mover: OrderMover;
}

/** Builds the orders service. */
export function buildOrders(context: OrdersContext): ServiceParts {
  const { config, database, logger, registry, output } = context;
  const metrics = createOrderMetrics(registry);
  const repository = new OrderRepository(database);
  const mover = new OrderMover({ database, metrics });
  const ground: Ground = { ...context, metrics, repository, mover };
  const following = buildFollowing(ground);
  const dispatch = buildDispatch(ground);
  const { dispatcher } = dispatch;
  const intake = new OrderIntake({
    database,
    onPlaced: (batch) => dispatcher.offer(batch),
    metrics,
    batchMax: config.ORDER_LIST_MAX,
    lanes: config.ORDER_INSERT_LANES,
  });
  const audit = new AuditTrail({ service: "orders", database, registry, logger, config, output });
  const apis = buildApis(ground, { ...following, ...dispatch, intake });
  const loops = [dispatch.relay, watchPending(ground), audit];
  return {
    services: [...apis, audit.registration],
    ...background({ database, hub: following.hub, loops, intake, mover, dispatcher }),
  };
}

/** Who waits for an order, and what tells them. */
interface FollowingParts {
  readonly hub: ChangeHub;
  readonly follower: OrderFollower;
}

function buildFollowing({ repository, logger, metrics, closing }: Ground): FollowingParts {
  const hub = new ChangeHub({ read: (ids) => repository.find(ids), logger });
  return { hub, follower: new OrderFollower({ hub, repository, metrics, closing }) };
}

/** What hands orders to the worker. */
interface DispatchParts {
  readonly outbox: SagaOutbox;
  readonly dispatcher: Dispatcher;
  readonly relay: Relay;
}

function buildDispatch({ config, database, sagas, logger, metrics, mover }: Ground): DispatchParts {
  const outbox = new SagaOutbox(database);
  const refusals = new RefusedStarts({ database, mover, outbox, logger, giveUpAfterMs: config.ORDER_REJECT_AFTER_MS });
  const dispatcher = new Dispatcher({
    sagas,
    outbox,
    logger,
    metrics,
    concurrency: config.DISPATCH_CONCURRENCY,
    timeoutMs: config.DISPATCH_TIMEOUT_MS,
    onRefused: (batch, error) => refusals.refused(batch, error),
  });
  const relay = createSagaRelay({
    outbox,
    dispatcher,
    logger,
    metrics,
    everyMs: config.DISPATCH_SWEEP_EVERY_MS,
    ageMs: config.DISPATCH_SWEEP_AGE_MS,
  });
  return { outbox, dispatcher, relay };
}

interface ApiParts extends FollowingParts, DispatchParts {
  readonly intake: OrderIntake;
}

function buildApis(ground: Ground, parts: ApiParts): ServiceRegistration[] {
  const { config, database, sagas, repository, mover } = ground;
  const { follower, dispatcher, outbox, intake } = parts;
  const requests = new AuditedRequests<CancelOrder>({
    database,
    method: "CancelOrder",
    entryOf: cancelRequestEntry,
  });
  const decisions = new AuditedRequests<StepDecisionRequest>({
    database,
    method: "NoteStepDecision",
    entryOf: stepDecisionEntry,
  });
  const cancellation = new OrderCancellation({ sagas, requests, follower, dispatcher, outbox });
  const pageTokens = new PageTokens(config.PAGE_TOKEN_SECRET);
  return [
    register(OrderService, new OrderApi({ intake, follower, cancellation, repository, pageTokens })),
    register(OrderLifecycleService, new OrderLifecycleApi(mover, decisions)),
    register(CustomerService, new CustomerApi(new CustomerRepository(database), pageTokens)),
  ];
}

/** Orders wait for the saga's first answer; a saga that does not get on shows here before anywhere else. */
function watchPending({ repository, metrics, logger }: Ground): Relay {
  const sweep = async () => {
    const oldest = await repository.oldestPending();
    metrics.oldestPending.set(oldest ? Math.max(0, Date.now() - oldest.getTime()) / 1_000 : 0);
    return 0;
  };
  return new Relay({ name: "watching pending orders", everyMs: pendingEveryMs, log: logger, sweep });
}

interface Background {
  readonly database: Database;
  readonly hub: ChangeHub;
  readonly loops: readonly { start(): void; stop(): Promise<void> }[];
  readonly intake: OrderIntake;
  readonly mover: OrderMover;
  readonly dispatcher: Dispatcher;
}

/** What runs beside the calls. The end goes with the flow: nothing new, then what was taken, then who waits for it. */
function background(parts: Background): Required<Pick<ServiceParts, "start" | "stop">> {
  const { database, hub, loops, intake, mover, dispatcher } = parts;
  let stopListening = async (): Promise<void> => undefined;
  return {
    start: async () => {
      stopListening = await database.listen(changeChannel, (payload) => hub.heard(payload));
      // Calls are taken already: what changed before somebody listened was not heard.
      hub.heard("");
      for (const loop of loops) loop.start();
    },
    stop: async () => {
      await Promise.all([intake.drain(), mover.drain()]);
      await Promise.all([dispatcher.drain(), ...loops.map((loop) => loop.stop())]);
      await stopListening();
      await hub.stop();
    },
  };
}
