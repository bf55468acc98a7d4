import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { OpenFeature } from "@openfeature/server-sdk";
import { Registry } from "prom-client";
import { CustomerService } from "#gen/shop/orders/v1/customer_service_pb.js";
import { OrderEpisodeService } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { OrderLifecycleService } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import {
  type OrderLine,
  OrderLineSchema,
  type PriceAdjustment,
  PriceAdjustmentKind,
  PriceAdjustmentSchema,
} from "#gen/shop/orders/v1/order_pb.js";
import { OrderReturnService } from "#gen/shop/orders/v1/order_return_service_pb.js";
import { OrderReviewService } from "#gen/shop/orders/v1/order_review_service_pb.js";
import {
  type CreateOrderRequest,
  CreateOrderRequestSchema,
  OrderService,
} from "#gen/shop/orders/v1/order_service_pb.js";
import { OrderStatisticsService } from "#gen/shop/orders/v1/order_statistics_service_pb.js";
import { MoneySchema } from "#gen/shop/type/v1/money_pb.js";
import type { AuditEvent } from "#platform/audit/audit-event.ts";
import { type ConfigOf, loadConfig, platformConfig } from "#platform/config.ts";
import { Database } from "#platform/database/database.ts";
import type { FeatureFlags } from "#platform/flags/feature-flags.ts";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { deadlineInterceptor } from "#platform/interceptors/deadline.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import { keysText } from "#platform/key-ring.ts";
import { personalDataOf } from "#platform/personal/personal-config.ts";
import type { ServiceRegistration } from "#platform/registration.ts";
import { Secret } from "#platform/secret.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import { keptLog } from "#testing/logger.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { ordersConfig } from "../src/config.ts";
import { CustomerEntity } from "../src/customer/customer.ts";
import { migrations } from "../src/migrations/list.ts";
import { OrderNotes } from "../src/order/order-notes.ts";
import { buildOrders } from "../src/orders.ts";
import type { FakeWorker } from "./fake-worker.ts";

/** A fresh, migrated database of the orders service. */
export function ordersDatabase(connection: { poolMax?: number } = {}): Promise<TestDatabase> {
  return testDatabase("orders", { entities: [CustomerEntity], migrations, connection });
}

/** The master key of {@link startReplica}. */
const masterKeysText = `test ${Buffer.alloc(32, "k").toString("base64")}`;

/** Reads what a replica of {@link startReplica} sealed. */
export const personal = personalDataOf({
  PERSONAL_DATA: "sealed",
  PERSONAL_DATA_KEYS: new Secret(masterKeysText, keysText),
  PERSONAL_DATA_SWEEP_MS: 1,
});

/** Another process' connection to the same database. */
export function secondDatabase(test: TestDatabase): Promise<Database> {
  return Database.open({ url: test.url, name: "orders-second", entities: [CustomerEntity] });
}

/** The audit log as who may list it reads it, the notes of operators too. */
export async function readNotedLog(database: Database): Promise<AuditEvent[]> {
  return new OrderNotes(database, personal).reveal(await readAuditLog(database));
}

/** One replica of the service, called in memory through the interceptors that it has in production. */
export interface Replica extends AsyncDisposable {
  readonly orders: Client<typeof OrderService>;
  readonly lifecycle: Client<typeof OrderLifecycleService>;
  readonly episodes: Client<typeof OrderEpisodeService>;
  readonly reviews: Client<typeof OrderReviewService>;
  readonly returns: Client<typeof OrderReturnService>;
  readonly customers: Client<typeof CustomerService>;
  readonly statistics: Client<typeof OrderStatisticsService>;
  readonly registry: Registry;
  readonly registrations: readonly ServiceRegistration[];
  /** What was published of the audit log. */
  readonly auditStream: PassThrough;
  /** Everything that was logged. */
  readonly log: () => string;
  /** Tells those who wait that the process stops. */
  close(): void;
  stop(): Promise<void>;
}

const services = [
  ...[OrderService, OrderLifecycleService, OrderEpisodeService, OrderReviewService, OrderReturnService],
  ...[CustomerService, OrderStatisticsService],
];

/** A replica that takes calls while its background work begins. */
export interface BeginningReplica extends Replica {
  readonly started: Promise<void>;
}

/** Starts a replica; background work has begun. */
export async function startReplica(...given: Parameters<typeof beginReplica>): Promise<Replica> {
  const replica = beginReplica(...given);
  await replica.started;
  return replica;
}

/** Starts a replica, as a process does: calls are taken before the background work begins. */
export function beginReplica(
  database: Database,
  worker: Pick<FakeWorker, "client">,
  changes: Partial<ConfigOf<typeof ordersConfig & Pick<typeof platformConfig, "MAX_MESSAGE_BYTES">>> = {},
  flags: FeatureFlags = OpenFeature.getClient("orders without flags"),
): BeginningReplica {
  const env = {
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    PAGE_TOKEN_SECRET: "s".repeat(32),
    TOKEN_ISSUERS: "none",
    PERSONAL_DATA_KEYS: masterKeysText,
  };
  // Orders of a worker that settles none stay pending: nobody is refused for that, unless a test is about it.
  const patient = { ORDER_CONFIRM_WITHIN_MS: 3_600_000 };
  const config = { ...loadConfig({ ...platformConfig, ...ordersConfig }, env), ...patient, ...changes };
  const registry = new Registry();
  const { logger, text: log } = keptLog("orders");
  const closing = new AbortController();
  const { client: sagas } = worker;
  const auditStream = new PassThrough();
  auditStream.resume();
  const parts = buildOrders({
    config,
    database,
    logger,
    registry,
    flags,
    sagas,
    closing: closing.signal,
    output: auditStream,
  });
  const transport = createRouterTransport(
    (router) => {
      for (const service of parts.services) service.route(router);
    },
    {
      router: {
        interceptors: [
          contextInterceptor(30_000),
          errorInterceptor(),
          deadlineInterceptor(),
          validationInterceptor(services),
        ],
      },
    },
  );
  const started = Promise.resolve(parts.start?.());
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    stopped ??= parts.stop?.();
    await stopped;
  };
  return {
    orders: createClient(OrderService, transport),
    lifecycle: createClient(OrderLifecycleService, transport),
    episodes: createClient(OrderEpisodeService, transport),
    reviews: createClient(OrderReviewService, transport),
    returns: createClient(OrderReturnService, transport),
    customers: createClient(CustomerService, transport),
    statistics: createClient(OrderStatisticsService, transport),
    registry,
    registrations: parts.services,
    auditStream,
    log,
    started,
    close: () => closing.abort(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

let counter = 0;

/** A text that no other call gets. */
export function unique(prefix: string): string {
  counter += 1;
  return `${prefix}-${process.pid}-${counter}`;
}

/** A new customer's id. */
export async function newCustomer({ customers }: Pick<Replica, "customers">, email?: string): Promise<string> {
  const { customer } = await customers.createCustomer({
    requestId: unique("customer"),
    givenName: "Ada",
    familyName: "Lovelace",
    email: email ?? `${unique("ada")}@example.com`,
  });
  assert.ok(customer);
  return customer.customerId;
}

/** What a test may want otherwise in {@link orderRequest}. */
export type OrderChanges = Partial<
  Pick<
    CreateOrderRequest,
    "requestId" | "lines" | "cardToken" | "waitFor" | "shippingAddress" | "adjustments" | "total"
  >
>;

/** A line of an order. */
export function line(sku: string, quantity: number, amount: bigint, currency = "EUR"): OrderLine {
  return create(OrderLineSchema, { sku, quantity, unitPrice: { currency, amount } });
}

/** What a price of euros changes by. */
export function adjustment(
  kind: PriceAdjustmentKind,
  amount: bigint,
  { name = "Standard delivery", included = false } = {},
): PriceAdjustment {
  return create(PriceAdjustmentSchema, { kind, name, amount: { currency: "EUR", amount }, included });
}

/** {@link orderRequest} with shipping, discounts and taxes: 49.35 EUR, of which the lines cost 36.44 EUR and 12.91 EUR. */
export function adjustedRequest(customerId: string, changes: OrderChanges = {}): CreateOrderRequest {
  const { SHIPPING, DISCOUNT, TAX } = PriceAdjustmentKind;
  const spring = adjustment(DISCOUNT, -370n, { name: "SPRING10" });
  const vat = adjustment(TAX, 218n, { name: "VAT 7 %", included: true });
  return orderRequest(customerId, {
    lines: [
      { ...line("ESPRESSO-1KG", 2, 1850n), adjustments: [spring, vat] },
      { ...line("FILTER-100", 1, 1000n), adjustments: [adjustment(TAX, 180n, { name: "VAT 18 %" })] },
    ],
    adjustments: [adjustment(SHIPPING, 490n), adjustment(DISCOUNT, -65n, { name: "Loyalty" })],
    total: create(MoneySchema, { currency: "EUR", amount: 4935n }),
    ...changes,
  });
}

/** A request for two articles that cost 47.00 EUR. */
export function orderRequest(customerId: string, changes: OrderChanges = {}): CreateOrderRequest {
  return create(CreateOrderRequestSchema, {
    requestId: unique("order"),
    customerId,
    lines: [line("ESPRESSO-1KG", 2, 1850n), line("FILTER-100", 1, 1000n)],
    shippingAddress: {
      recipient: "Ada Lovelace",
      lines: ["Torstraße 1"],
      city: "Berlin",
      postalCode: "10119",
      country: "DE",
    },
    cardToken: "tok_approve",
    ...changes,
  });
}

/** Waits until a check passes, at most fifteen seconds; rejects with what the check last said as the cause. */
export async function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  const { result } = await until(async () => ({ result: await check() }), "a check passes", { deadlineMs: 15_000 });
  return result;
}

/** The refusal of a call: its code, reason and facts. */
export async function refusal(call: Promise<unknown>): Promise<ConnectError> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(outcome instanceof ConnectError, "the call was not refused");
  assert.notEqual(outcome.code, Code.Internal, outcome.message);
  return outcome;
}

/** The sum of a metric's values that have the labels. */
export async function metric(replica: Replica, name: string, labels: Record<string, string> = {}): Promise<number> {
  const found = await replica.registry.getSingleMetric(name)?.get();
  const matches = found?.values.filter((value) => Object.entries(labels).every(([k, v]) => value.labels[k] === v));
  return (matches ?? []).reduce((sum, value) => sum + value.value, 0);
}
