import { GatewayConnectorService } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { Relay } from "#platform/batch/relay.ts";
import type { ConfigOf, PlatformConfig } from "#platform/config.ts";
import type { Logger } from "#platform/log/logger.ts";
import { register, type ServiceDefinition } from "#platform/process/service.ts";
import { settleTogether, stripeConfig } from "./config.ts";
import { ConnectorApi } from "./connector-api.ts";
import { CustomerRepository } from "./customer.repository.ts";
import { HappeningRepository } from "./happening.repository.ts";
import type { Rules } from "./judgement.ts";
import { StripeMetrics } from "./metrics.ts";
import { migrations } from "./migrations/list.ts";
import { OperationRepository, type Statements } from "./operation.repository.ts";
import { smallestCharges } from "./stripe-amount.ts";
import { StripeCustomers } from "./stripe-customers.ts";
import { StripeGateway } from "./stripe-gateway.ts";
import { StripeListener } from "./stripe-listener.ts";
import { StripeRequests } from "./stripe-requests.ts";
import { stripeWebhooks } from "./stripe-webhook.ts";

/** What the connector reads, of its own and of the platform's. */
export type StripeConfig = ConfigOf<typeof stripeConfig> & Partial<Pick<PlatformConfig, "RATE_LIMIT_REPLICAS">>;

/** What one process of the connector works with, below what the platform serves and runs. */
export interface ComposedStripe {
  readonly api: ConnectorApi;
  readonly gateway: StripeGateway;
  readonly requests: StripeRequests;
  readonly listener: StripeListener;
}

/** How often an authorization can be captured, where it can in parts. Source: Stripe's page on multicapture, 2026-11. */
const mostCaptures = 50;
/** How many times the time of a request nobody else goes on with what somebody works at: each begins at most half of it later, and so ends before. */
const requestsOfLease = 1.5;
/** How long it is at most until a look that failed is repeated, in milliseconds: each asks for all that happened since the last one that did not. */
const maxPauseMs = 300_000;
/** An operation takes so many requests: a hold three, with a new card, and its capture one. */
const requestsOfOperation = 2;

/** Puts together what asks Stripe and what answers payments. */
export function composeStripe(
  config: StripeConfig,
  database: Statements,
  { log, metrics }: { readonly log: Logger; readonly metrics: StripeMetrics },
): ComposedStripe {
  const { STRIPE_TIMEOUT_MS: timeoutMs, RATE_LIMIT_REPLICAS: replicas = 1 } = config;
  const perSecond = config.STRIPE_REQUESTS_PER_SECOND;
  const rules: Rules = {
    maxCaptures: config.STRIPE_MULTICAPTURE ? mostCaptures : 1,
    minAmounts: new Map(config.STRIPE_CURRENCIES.map((code) => [code, smallestCharges[code] ?? 1n])),
  };
  const requests = new StripeRequests({
    secretKey: config.STRIPE_SECRET_KEY,
    url: config.STRIPE_API_URL,
    timeoutMs,
    pace: { all: perSecond / replicas, endpoint: config.STRIPE_ENDPOINT_REQUESTS_PER_SECOND / replicas },
    metrics,
  });
  const operations = new OperationRepository(database, requestsOfLease * timeoutMs, rules.maxCaptures);
  const customers = new StripeCustomers({ customers: new CustomerRepository(database), requests });
  const happenings = new HappeningRepository(database);
  const answerWithinMs = config.STRIPE_ANSWER_WITHIN_MS;
  const common = { operations, requests, patienceMs: answerWithinMs, metrics, log };
  const gateway = new StripeGateway({ ...common, customers, rules, settleMs: config.STRIPE_SETTLE_MS });
  const listener = new StripeListener({ ...common, happenings });
  const perSecondOf = perSecond / requestsOfOperation;
  const api = new ConnectorApi({ gateway, happenings, rules, perSecond: perSecondOf, answerWithinMs, log });
  return { api, gateway, requests, listener };
}

/** The connector to Stripe: a process of its own with a database of its own. */
export const stripe: ServiceDefinition<typeof stripeConfig> = {
  name: "stripe",
  config: stripeConfig,
  together: settleTogether,
  database: { entities: [], migrations, requestIds: false },
  build({ config, database, logger, registry }) {
    const metrics = new StripeMetrics(registry);
    const parts = composeStripe(config, database, { log: logger, metrics });
    const { api, gateway, requests, listener } = parts;
    const { STRIPE_WEBHOOK_SECRETS: secrets, STRIPE_LOOK_EVERY_MS: everyMs } = config;
    const sweep = (signal: AbortSignal) => listener.sweep(signal);
    const looking = new Relay({ name: "asking Stripe what happened", everyMs, maxPauseMs, log: logger, sweep });
    return {
      services: [register(GatewayConnectorService, api)],
      ...(secrets && { pages: { webhooks: stripeWebhooks({ requests, listener, secrets, metrics, log: logger }) } }),
      start: async () => looking.start(),
      stop: async () => {
        await looking.stop();
        await gateway.drain();
      },
    };
  },
};
