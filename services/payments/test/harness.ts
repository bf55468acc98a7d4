import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import pg from "pg";
import { Registry } from "prom-client";
import { AuthorizePaymentRequestSchema, PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { type Caller, serviceCaller } from "#platform/caller.ts";
import { loadConfig } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import { newId } from "#platform/id.ts";
import { authorizationInterceptor } from "#platform/interceptors/authorization.ts";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import { quietLogger } from "#testing/logger.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { pageTokenSecret } from "#testing/secret.ts";
import { until } from "#testing/until.ts";
import { Reader } from "../../books/src/balance/ask.ts";
import { GatewayReader } from "../../books/src/balance/gateway-reader.ts";
import { checkMoney } from "../../books/src/balance/money.ts";
import { allIds } from "../../books/src/balance/range.ts";
import { connectorClient } from "../../simulators/src/connector-client.ts";
import { GatewaySimulator, type SimulatorSettings } from "../../simulators/src/gateway/gateway-simulator.ts";
import { migrations as simulatorMigrations } from "../../simulators/src/migrations/list.ts";
import { toAuthorize } from "../src/api/payment-proto.ts";
import { paymentsConfig } from "../src/config.ts";
import { ConnectorGateway, type ConnectorGatewayOptions } from "../src/gateway/connector-gateway.ts";
import { type Gateway, GatewayUnavailableError } from "../src/gateway/gateway.ts";
import { migrations } from "../src/migrations/list.ts";
import { PaymentMetrics } from "../src/move/metrics.ts";
import type { MoneyMover } from "../src/move/money-mover.ts";
import type { OperationRepository } from "../src/operation/operation.repository.ts";
import { type AuthorizeInput, type ChangeInput, type HeldInput, heldFor } from "../src/operation/operation-request.ts";
import { entities } from "../src/payment/payment.entity.ts";
import { PaymentRepository } from "../src/payment/payment.repository.ts";
import { type ComposedPayments, composePayments, type PaymentsConfig, type PaymentsParts } from "../src/payments.ts";

/** What is special about one process of the service. */
export interface ProcessOptions extends Partial<Omit<PaymentsParts, "config" | "logger">> {
  readonly config?: Partial<PaymentsConfig>;
}

/** Databases, the simulated gateway behind its connector, and processes of the service without the platform around them. */
export interface Harness extends AsyncDisposable {
  readonly test: TestDatabase;
  /** What the simulated gateway remembers in. */
  readonly outside: TestDatabase;
  readonly database: Database;
  /** What is undecided. */
  readonly operations: OperationRepository;
  readonly payments: PaymentRepository;
  /** The gateway, as all processes reach it. */
  readonly gateway: Gateway;
  /** One process, composed as the service itself. */
  process(options?: ProcessOptions): ComposedPayments;
  /** What moves money in a process of its own. */
  mover(options?: ProcessOptions): MoneyMover;
  /** Runs SQL as a superuser. */
  admin<R extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<R[]>;
  /** Makes everything due that is undecided, as if its process had died a while ago. */
  expireLeases(): Promise<void>;
  /** Lets a process resolve as another replica would, until nothing is undecided. */
  resolveAll(mover: MoneyMover): Promise<void>;
  /** Asserts that nothing is undecided, and what `npm run verify` asks of money. */
  assertBalance(): Promise<void>;
}

/** Opens a fresh harness. */
export async function openHarness({
  slowMs = 10_000,
  partVoid = "now",
  captures = "many",
}: Partial<SimulatorSettings> = {}): Promise<Harness> {
  const test = await testDatabase("payments", { entities, migrations });
  const outside = await testDatabase("simulators", { entities: [], migrations: simulatorMigrations });
  const { database, url, adminUrl } = test;
  const logger = quietLogger();
  const simulator = new GatewaySimulator(outside.database, { slowMs, latencyMs: 0, partVoid, captures });
  const connector = connectorClient(simulator);
  const gateway = gatewayBehind(connector);
  const client = new pg.Pool({ connectionString: adminUrl, max: 2 });
  const defaults = {
    ...loadConfig(paymentsConfig, {
      DATABASE_URL: url,
      GATEWAY_CONNECTOR_ADDRESS: "in this process",
      PAYMENTS_ANSWER_WITHIN_MS: "5000",
    }),
    PAGE_TOKEN_SECRET: pageTokenSecret,
  };
  const composed: ComposedPayments[] = [];
  const compose = ({ config, ...given }: ProcessOptions = {}): ComposedPayments => {
    const metrics = given.metrics ?? new PaymentMetrics(new Registry());
    const parts = { database, gateway, logger, ...given, metrics, config: { ...defaults, ...config } };
    const made = composePayments(parts);
    composed.push(made);
    return made;
  };
  const { operations } = compose();
  const expireLeases = async () => {
    await client.query("update payment_operation set next_attempt_time = now() where state = 'pending'");
  };
  return {
    test,
    outside,
    database,
    operations,
    payments: new PaymentRepository(database),
    gateway,
    process: compose,
    mover: (options) => compose(options).mover,
    admin: async (sql, values = []) => (await client.query(sql, values)).rows,
    expireLeases,
    async resolveAll(mover) {
      const resolve = async () => {
        await expireLeases();
        await mover.resolve();
        return (await operations.backlog()).undecided === 0;
      };
      await until(resolve, "nothing is undecided", { deadlineMs: 60_000 });
    },
    async assertBalance() {
      assert.equal((await operations.backlog()).undecided, 0);
      await using reader = await Reader.open(adminUrl);
      const everything = { ids: allIds, pageSize: 1_000, onProgress: () => undefined };
      for (const { checked, wrong } of await checkMoney(reader, new GatewayReader(connector), everything))
        assert.deepEqual(wrong, [], checked);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(composed.map(({ mover }) => mover.drain(0)));
      await gateway.stop();
      await simulator.drain();
      await client.end();
      await Promise.all([test[Symbol.asyncDispose](), outside[Symbol.asyncDispose]()]);
    },
  };
}

/** Those who prove who they are by their name alone. */
const callers: Readonly<Record<string, Caller>> = {
  ada: { subject: "ada", roles: new Set([Role.FINANCE]), person: true },
  bob: { subject: "bob", roles: new Set([Role.FINANCE]), person: true },
  cyd: { subject: "cyd", roles: new Set([Role.FINANCE]), person: true },
  auditor: { subject: "eve", roles: new Set([Role.AUDITOR]), person: true },
  program: { subject: "key:K1", roles: new Set([Role.FINANCE]) },
  worker: serviceCaller("worker"),
};

/** A client of one process, where nobody is asked who calls; or as somebody, where all are. */
export function connect({ api }: ComposedPayments, name?: string): Client<typeof PaymentService> {
  const verify = async (credential: string) => callers[credential] ?? assert.fail(`nobody is called ${credential}`);
  const asking = authorizationInterceptor({
    services: [PaymentService],
    credentials: { verify },
    onRefused: () => undefined,
  });
  const shown: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${name}`);
    return next(request);
  };
  const interceptors = [
    contextInterceptor(30_000),
    errorInterceptor(),
    ...(name === undefined ? [] : [asking]),
    validationInterceptor([PaymentService]),
  ];
  const transport = createRouterTransport((router) => router.service(PaymentService, api), {
    router: { interceptors },
    transport: { interceptors: name === undefined ? [] : [shown] },
  });
  return createClient(PaymentService, transport);
}

/** The gateway behind a connector, as payments reaches it. */
export function gatewayBehind(
  connector: ConnectorGatewayOptions["connector"],
  given: Partial<ConnectorGatewayOptions> = {},
): ConnectorGateway {
  const defaults = { address: "in this process", timeoutMs: 3_000, inflight: 512, replicas: 1, log: quietLogger() };
  return new ConnectorGateway({ connector, ...defaults, ...given });
}

/** A gateway that cannot be reached. */
export function unreachable(): Gateway {
  const away = () => Promise.reject(new GatewayUnavailableError("no route to the gateway"));
  return { inTurn: false, capturesOnce: async () => false, refusal: () => undefined, execute: away, find: away };
}

/** A gateway that is the simulator but for some calls. */
export function gatewayWith({ gateway }: Harness, changed: Partial<Gateway>): Gateway {
  return {
    get inTurn() {
      return gateway.inTurn;
    },
    capturesOnce: () => gateway.capturesOnce(),
    refusal: (operation) => gateway.refusal(operation),
    execute: (operation, call) => gateway.execute(operation, call),
    find: (operation, call) => gateway.find(operation, call),
    ...changed,
  };
}

/** An authorization of 1000 EUR cents, if nothing else is said. */
export function authorization(given: Partial<AuthorizeInput> = {}): HeldInput {
  const init: MessageInitShape<typeof AuthorizePaymentRequestSchema> = {
    requestId: given.requestId ?? newId(),
    paymentId: given.paymentId ?? newId(),
    orderId: given.orderId ?? newId(),
    customerId: given.customerId ?? newId(),
    amount: { currency: given.currency ?? "EUR", amount: given.amount ?? 1000n },
    cardToken: given.cardToken ?? (given.sourceId ? "" : "tok_approve"),
    sourcePaymentId: given.sourceId ?? "",
    parcels: [...(given.parcels ?? [])],
    singleCapture: given.singleCapture ?? false,
    fence: given.fence ?? 0,
  };
  return heldFor(toAuthorize(create(AuthorizePaymentRequestSchema, init)), false);
}

/** A capture, void or refund; without an amount: of all that is left. */
export function change(
  kind: ChangeInput["kind"],
  paymentId: string,
  given: { amount?: bigint; requestId?: string; fence?: number } = {},
): ChangeInput {
  const { requestId = newId(), amount, fence = 0 } = given;
  const fingerprint = Buffer.from(`${paymentId} ${amount}`);
  const money = amount === undefined ? undefined : { currency: "EUR", amount };
  return { kind, requestId, paymentId, amount: money, reason: "", fence, fingerprint };
}
