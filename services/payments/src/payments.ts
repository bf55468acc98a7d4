import type { Client } from "@connectrpc/connect";
import type { Registry } from "prom-client";
import type { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { AuditTrail } from "#platform/audit/audit-trail.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { ConfigOf, EventsConfig, PlatformConfig } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import { createEventFeed } from "#platform/events/event-feed.ts";
import type { Logger } from "#platform/log/logger.ts";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceParts } from "#platform/process/service.ts";
import { PaymentApi } from "./api/payment-api.ts";
import { ApprovalRepository } from "./approval/approval.repository.ts";
import type { paymentsConfig } from "./config.ts";
import { DisputeRepository } from "./dispute/dispute.repository.ts";
import { ConnectorGateway } from "./gateway/connector-gateway.ts";
import type { Gateway } from "./gateway/gateway.ts";
import { GatewayEventRepository } from "./gateway-event/gateway-event.repository.ts";
import { GatewayEventReader } from "./gateway-event/gateway-event-reader.ts";
import { PaymentMetrics } from "./move/metrics.ts";
import { MoneyMover } from "./move/money-mover.ts";
import { OperationRepository, type Transactions } from "./operation/operation.repository.ts";
import { PaymentRepository } from "./payment/payment.repository.ts";
import { paymentsEvents } from "./payment/payment-events.ts";
import { type Limit, type RefundLimitSettings, RefundLimits } from "./refund/refund-limits.ts";

/** What the payments service reads, of its own and of the platform's. */
export type PaymentsConfig = ConfigOf<typeof paymentsConfig> &
  Pick<PlatformConfig, "PAGE_TOKEN_SECRET"> &
  Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME" | "RATE_LIMIT_REPLICAS"> & EventsConfig>;

/** What the payments service is built from. */
export interface PaymentsContext {
  readonly config: PaymentsConfig;
  readonly database: Database;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Where the audit log is published: where the logger writes. */
  readonly output: NodeJS.WritableStream;
  /** The connector of the card gateway. */
  readonly connector: Client<typeof GatewayConnectorService>;
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
  readonly approvals: ApprovalRepository;
  readonly limits: RefundLimits;
  /** Has requests expire that nobody decided in time; returns how many those were. For a `Relay`. */
  expire(): Promise<number>;
}

/** Beyond the time that a process may work at an operation, so that nobody else takes it meanwhile. */
const leaseMarginMs = 5_000;
/** How many requests one sweep has expire. */
const expirySize = 256;
/** How long operations may go on after the last call was answered; the platform allows 5 s for stopping. */
const drainGraceMs = 3_000;

/** Puts together what moves money and what answers for it. */
export function composePayments({ config, database, logger, metrics, gateway }: PaymentsParts): ComposedPayments {
  // An operation may wait for a free call and then run, both within twice the timeout of a call.
  const leaseMs = 2 * config.GATEWAY_TIMEOUT_MS + leaseMarginMs;
  const limits = new RefundLimits({
    majorUnits: config.REFUND_LIMIT_MAJOR_UNITS,
    minorUnits: config.REFUND_LIMITS_MINOR_UNITS,
  });
  const approvalWithinMs = config.REFUND_APPROVAL_WITHIN_MS;
  const operations = new OperationRepository(database, { leaseMs, gateway, limits, approvalWithinMs });
  const approvals = new ApprovalRepository(database, leaseMs);
  const mover = new MoneyMover({
    operations,
    approvals,
    gateway,
    log: logger,
    limits: { timeoutMs: config.GATEWAY_TIMEOUT_MS, inflight: config.GATEWAY_MAX_INFLIGHT },
    answerWithinMs: config.PAYMENTS_ANSWER_WITHIN_MS,
    metrics,
  });
  const api = new PaymentApi({
    mover,
    approvals,
    metrics,
    payments: new PaymentRepository(database),
    disputes: new DisputeRepository(database),
    pageTokens: new PageTokens(config.PAGE_TOKEN_SECRET),
  });
  const expire = async () => {
    const expired = await approvals.expire(expirySize);
    for (const _ of expired) metrics.refundDecided("expired");
    return expired.length;
  };
  return { api, mover, operations, approvals, limits, expire };
}

/** What goes on in the background: it carries on what is undecided, has requests expire, and looks how much there is of both. */
function relaysOf(context: PaymentsContext, parts: ComposedPayments, metrics: PaymentMetrics): Relay[] {
  const { config, logger } = context;
  const { mover, operations, approvals, expire } = parts;
  const everyMs = config.PAYMENTS_RESOLVE_EVERY_MS;
  const resolve = async () => {
    await metrics.refresh(operations);
    return await mover.resolve();
  };
  const expireAll = async () => {
    const expired = await expire();
    await metrics.refreshRequests(approvals);
    return expired;
  };
  return [
    new Relay({ name: "resolving payments", everyMs, log: logger, sweep: resolve }),
    new Relay({ name: "expiring refund requests", everyMs, log: logger, sweep: expireAll }),
    eventsRelay(context, metrics),
  ];
}

/** Reads what happened at the gateway by itself. */
function eventsRelay({ config, database, logger, connector }: PaymentsContext, metrics: PaymentMetrics): Relay {
  const events = new GatewayEventRepository(database);
  const timeoutMs = config.GATEWAY_TIMEOUT_MS;
  const reader = new GatewayEventReader({ connector, events, timeoutMs, log: logger });
  const sweep = async (signal: AbortSignal) => {
    await metrics.refreshGatewayEvents(events);
    return await reader.read(signal);
  };
  const everyMs = config.PAYMENTS_EVENTS_EVERY_MS;
  return new Relay({ name: "reading events of the gateway", everyMs, log: logger, sweep });
}

/** Builds the payments service. */
export function buildPayments(context: PaymentsContext): ServiceParts {
  const { config, database, logger, registry, connector } = context;
  const gateway = new ConnectorGateway({
    connector,
    address: config.GATEWAY_CONNECTOR_ADDRESS,
    timeoutMs: config.GATEWAY_TIMEOUT_MS,
    inflight: config.GATEWAY_MAX_INFLIGHT,
    replicas: config.RATE_LIMIT_REPLICAS ?? 1,
    log: logger,
  });
  const metrics = new PaymentMetrics(registry);
  const parts = composePayments({ config, database, logger, metrics, gateway });
  const { api, mover, limits } = parts;
  const audit = new AuditTrail({ service: "payments", ...context });
  const events = createEventFeed({ service: "payments", ...context, types: paymentsEvents });
  const relays = relaysOf(context, parts, metrics);
  return {
    services: [register(PaymentService, api), audit.registration],
    reloads: {
      REFUND_LIMIT_MAJOR_UNITS: (majorUnits: Limit) => limits.use({ majorUnits }),
      REFUND_LIMITS_MINOR_UNITS: (minorUnits: RefundLimitSettings["minorUnits"]) => limits.use({ minorUnits }),
    },
    start: async () => {
      for (const each of [gateway, ...relays, audit, events]) each.start();
    },
    stop: async () => {
      const loops = [...relays, audit, events].map((each) => each.stop());
      await Promise.all([mover.drain(drainGraceMs), ...loops]);
      await gateway.stop();
    },
  };
}
