import { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import type { ConfigOf, PlatformConfig } from "#platform/config.ts";
import type { Logger } from "#platform/log/logger.ts";
import { register, type ServiceDefinition } from "#platform/process/service.ts";
import { OutsideMetrics } from "../metrics.ts";
import { easypostConfig, settleTogether } from "./config.ts";
import { ConnectorApi } from "./connector-api.ts";
import { EasypostCarrier } from "./easypost-carrier.ts";
import { EasypostListener } from "./easypost-listener.ts";
import { EasypostRequests } from "./easypost-requests.ts";
import { easypostWebhooks } from "./easypost-webhook.ts";
import { migrations } from "./migrations/list.ts";
import { ParcelRepository, type Statements } from "./parcel.repository.ts";

/** What the connector reads, of its own and of the platform's. */
export type EasypostConfig = ConfigOf<typeof easypostConfig> & Partial<Pick<PlatformConfig, "RATE_LIMIT_REPLICAS">>;

/** What one process of the connector works with, below what the platform serves and runs. */
export interface ComposedEasypost {
  readonly api: ConnectorApi;
  readonly carrier: EasypostCarrier;
}

/** How many times the time of a request nobody else goes on with what somebody works at: each with an effect begins at most half of it later, and so ends before. */
const requestsOfLease = 1.5;

/** What the connector says of itself: lines, and numbers. */
export interface Telling {
  readonly log: Logger;
  readonly metrics: OutsideMetrics;
}

/** Puts together what asks EasyPost and what answers shipping. */
export function composeEasypost(
  config: EasypostConfig,
  database: Statements,
  { log, metrics }: Telling,
): ComposedEasypost {
  const { EASYPOST_TIMEOUT_MS: timeoutMs, EASYPOST_ANSWER_WITHIN_MS: answerWithinMs } = config;
  const perSecond = config.EASYPOST_REQUESTS_PER_SECOND / (config.RATE_LIMIT_REPLICAS ?? 1);
  const carrier = new EasypostCarrier({
    parcels: new ParcelRepository(database, requestsOfLease * timeoutMs),
    requests: new EasypostRequests({
      apiKey: config.EASYPOST_API_KEY,
      url: config.EASYPOST_API_URL,
      timeoutMs,
      pace: { all: perSecond, endpoint: perSecond },
      metrics,
    }),
    senders: config.EASYPOST_SENDERS,
    services: config.EASYPOST_SERVICES,
    settleMs: config.EASYPOST_SETTLE_MS,
    persistMs: config.EASYPOST_PERSIST_MS,
    voidLookMs: config.EASYPOST_VOID_LOOK_MS,
    patienceMs: answerWithinMs,
    log,
  });
  const api = new ConnectorApi({ carrier, returnParcel: config.EASYPOST_RETURN_PARCEL, answerWithinMs, log });
  return { api, carrier };
}

/** The connector to EasyPost: a process of its own with a database of its own. */
export const easypost: ServiceDefinition<typeof easypostConfig> = {
  name: "easypost",
  config: easypostConfig,
  together: settleTogether,
  database: { entities: [], migrations, requestIds: false },
  build(context) {
    const { config, database, logger: log, registry } = context;
    const metrics = new OutsideMetrics(registry, { prefix: "easypost", name: "EasyPost" });
    const { api, carrier } = composeEasypost(config, database, { log, metrics });
    const shipping = context.client(ShippingService, config.SHIPPING_ADDRESS);
    const listener = new EasypostListener({ carrier, shipping, log });
    const { EASYPOST_WEBHOOK_SECRETS: secrets } = config;
    return {
      services: [register(CarrierConnectorService, api)],
      ...(secrets && { pages: { webhooks: easypostWebhooks({ listener, secrets, metrics, log }) } }),
      stop: () => carrier.drain(),
    };
  },
};
