import type { Registry } from "prom-client";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { AuditTrail } from "#platform/audit/audit-trail.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { ConfigOf, PlatformConfig } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import type { Logger } from "#platform/log/logger.ts";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceParts } from "#platform/process/service.ts";
import { PaymentApi } from "./api/payment-api.ts";
import type { paymentsConfig } from "./config.ts";
import type { Gateway } from "./gateway/gateway.ts";
import { SimulatorGateway } from "./gateway/simulator/simulator-gateway.ts";
import { PaymentMetrics } from "./move/metrics.ts";
import { MoneyMover } from "./move/money-mover.ts";
import { OperationRepository, type Transactions } from "./operation/operation.repository.ts";
import { PaymentRepository } from "./payment/payment.repository.ts";

/** What the payments service reads, of its own and of the platform's. */
export type PaymentsConfig = ConfigOf<typeof paymentsConfig> &
  Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
  Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME">>;

/** What the payments service is built from. */
export interface PaymentsContext {
  readonly config: PaymentsConfig;
  readonly database: Database;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Where the audit log is published: where the logger writes. */
  readonly output: NodeJS.WritableStream;
}

/** What {@link composePayments} puts together; a test gives its own. */
export interface PaymentsParts {
  readonly config: PaymentsConfig;
  readonly database: Transactions & Pick<Database, "em">;
  readonly logger: Pick<Logger, "warn" | "error">;
  readonly metrics: PaymentMetrics;
  readonly gateway: Gateway;
}

/** What one process of the service works with, below what the platform serves and runs. */
export interface ComposedPayments {
  readonly api: PaymentApi;
  readonly mover: MoneyMover;
  readonly operations: OperationRepository;
}

/** Beyond the time that a process may work at an operation, so that nobody else takes it meanwhile. */
const leaseMarginMs = 5_000;
/** How long operations may go on after the last call was answered; the platform allows 5 s for stopping. */
const drainGraceMs = 3_000;

/** Puts together what moves money and what answers for it. */
export function composePayments({ config, database, logger, metrics, gateway }: PaymentsParts): ComposedPayments {
  // An operation may wait for a free call and then run, both within twice the timeout of a call.
  const operations = new OperationRepository(database, 2 * config.GATEWAY_TIMEOUT_MS + leaseMarginMs);
  const mover = new MoneyMover({
    operations,
    gateway,
    log: logger,
    limits: { timeoutMs: config.GATEWAY_TIMEOUT_MS, inflight: config.GATEWAY_MAX_INFLIGHT },
    answerWithinMs: config.PAYMENTS_ANSWER_WITHIN_MS,
    metrics,
  });
  const api = new PaymentApi({
    mover,
    payments: new PaymentRepository(database),
    pageTokens: new PageTokens(config.PAGE_TOKEN_SECRET),
  });
  return { api, mover, operations };
}

/** Builds the payments service. */
export async function buildPayments(context: PaymentsContext): Promise<ServiceParts> {
  const { config, database, logger, registry } = context;
  const gateway = await SimulatorGateway.open({
    url: config.SIMULATOR_DATABASE_URL ?? config.DATABASE_URL,
    pooled: config.DATABASE_POOLED,
    poolMax: config.SIMULATOR_POOL_MAX,
    log: logger,
    slowMs: config.SIMULATOR_SLOW_MS,
    latencyMs: config.SIMULATOR_LATENCY_MS,
  });
  const metrics = new PaymentMetrics(registry);
  const { api, mover, operations } = composePayments({ config, database, logger, metrics, gateway });
  const audit = new AuditTrail({ service: "payments", ...context });
  const resolving = new Relay({
    name: "resolving payments",
    everyMs: config.PAYMENTS_RESOLVE_EVERY_MS,
    log: logger,
    sweep: async () => {
      await metrics.refresh(operations);
      return mover.resolve();
    },
  });
  return {
    services: [register(PaymentService, api), audit.registration],
    start: async () => {
      resolving.start();
      audit.start();
    },
    stop: async () => {
      await Promise.all([mover.drain(drainGraceMs), resolving.stop(), audit.stop()]);
      await gateway.close();
    },
  };
}
