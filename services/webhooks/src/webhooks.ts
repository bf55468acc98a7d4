import type { Registry } from "prom-client";
import { WebhookService } from "#gen/shop/webhooks/v1/webhook_service_pb.js";
import { AuditTrail, type AuditTrailOptions } from "#platform/audit/audit-trail.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { Database } from "#platform/database/database.ts";
import { EventReader } from "#platform/events/event-reader.ts";
import { natsOptionsOf } from "#platform/events/nats-connection.ts";
import type { Logger } from "#platform/log/logger.ts";
import { PageTokens } from "#platform/page-token.ts";
import { personalDataOf } from "#platform/personal/personal-config.ts";
import { PersonalSweep } from "#platform/personal/personal-sweep.ts";
import { register, type ServiceParts } from "#platform/process/service.ts";
import { StartError } from "#platform/process/startup.ts";
import { WebhookApi } from "./api/webhook-api.ts";
import type { WebhooksConfig } from "./config.ts";
import { DeliveryRepository } from "./delivery/delivery.repository.ts";
import { Dispatcher } from "./delivery/dispatcher.ts";
import { type HeardEvent, readEvent } from "./delivery/heard-event.ts";
import { planning } from "./delivery/plan.ts";
import { EndpointRepository } from "./endpoint/endpoint.repository.ts";
import { WebhookSecrets } from "./endpoint/webhook-secrets.ts";
import { Introduction } from "./introduction/introduction.ts";
import { WebhookMetrics } from "./proof/metrics.ts";
import { Courier } from "./wall/courier.ts";
import { machineResolver, type NameResolver } from "./wall/look-up.ts";
import { Walls } from "./wall/walls.ts";

/** What the webhooks service is built from; a test gives its own. */
export interface WebhooksContext {
  readonly config: WebhooksConfig;
  readonly database: Database;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Where the audit log is published: where the logger writes. */
  readonly output: AuditTrailOptions["output"];
  /** Who knows names; the machine's own servers by default. */
  readonly resolver?: NameResolver;
  /** Authorities of endpoints' certificates besides those that Node knows, in PEM; none by default. */
  readonly ca?: string;
}

/** Rows that are forgotten with one statement, and how often is looked for them, in milliseconds. */
const forgetBatch = 5_000;
const forgetEveryMs = 60_000;
/** How often is counted what there is to do, in milliseconds. */
const backlogEveryMs = 5_000;
/** While there is nothing to do, loops look so many times as seldom. */
const rests = 4;
/** The longest pause while the broker is away, in milliseconds. */
const maxPauseMs = 5_000;

/** What every part of the service builds on. */
interface Ground extends WebhooksContext {
  readonly endpoints: EndpointRepository;
  readonly deliveries: DeliveryRepository;
  readonly secrets: WebhookSecrets;
  readonly walls: Walls;
  readonly courier: Courier;
  readonly metrics: WebhookMetrics;
}

const noKeys =
  "requests are signed, and there is no key to seal the secrets with: set PERSONAL_DATA_KEYS or PERSONAL_DATA_KEYS_FILE";

/** Builds the webhooks service. @throws StartError when secrets cannot be sealed */
export function buildWebhooks(context: WebhooksContext): ServiceParts {
  const { config, database, logger } = context;
  const personal = personalDataOf(config);
  if (!personal.keys) throw new StartError(noKeys);
  const ground = groundOf(context, new WebhookSecrets(database, personal));
  const audit = new AuditTrail({ service: "webhooks", ...context });
  const api = new WebhookApi({
    ...ground,
    introduction: new Introduction(ground),
    pageTokens: new PageTokens(config.PAGE_TOKEN_SECRET),
    maxEndpoints: config.WEBHOOK_ENDPOINTS_MAX,
  });
  const reader = readerOf(ground);
  const { dispatcher, sending } = dispatching(ground);
  const everyMs = config.PERSONAL_DATA_SWEEP_MS;
  const move = async () => 0;
  const rewrapping = new PersonalSweep({ name: "webhooks.secrets", database, personal, move, logger, everyMs });
  const loops = [audit, rewrapping, sending, ...loopsOf(ground, reader)];
  return {
    services: [register(WebhookService, api), audit.registration],
    async start() {
      for (const loop of loops) loop.start();
    },
    async stop() {
      // Who waits for the broker is not waited for.
      await Promise.all([reader?.close(), ...loops.map((loop) => loop.stop())]);
      await dispatcher.stop();
    },
  };
}

function groundOf(context: WebhooksContext, secrets: WebhookSecrets): Ground {
  const { config, database, registry, resolver = machineResolver(), ca } = context;
  const walls = new Walls({
    ports: config.WEBHOOK_PORTS,
    plainHttp: config.WEBHOOK_PLAIN_HTTP,
    networks: config.WEBHOOK_NETWORKS,
  });
  return {
    ...context,
    secrets,
    walls,
    endpoints: new EndpointRepository(database, secrets),
    deliveries: new DeliveryRepository(database),
    courier: new Courier({ walls, resolver, timeoutMs: config.WEBHOOK_TIMEOUT_MS, ...(ca !== undefined && { ca }) }),
    metrics: new WebhookMetrics(registry),
  };
}

function readerOf({ config, database, registry, metrics, logger: log }: Ground): EventReader<HeardEvent> | undefined {
  const nats = natsOptionsOf(config, "webhooks");
  if (nats)
    return new EventReader({
      nats,
      database,
      registry,
      log,
      read: readEvent,
      begin: (tx) => planning(tx, metrics),
    });
  log.warn("endpoints are told nothing: set EVENTS_NATS_URL, where events are heard");
  return undefined;
}

function dispatching({ config, logger: log, ...ground }: Ground) {
  const everyMs = config.WEBHOOK_SWEEP_MS;
  const dispatcher = new Dispatcher({
    ...ground,
    log,
    lanes: config.WEBHOOK_LANES,
    timeoutMs: config.WEBHOOK_TIMEOUT_MS,
    pauses: config.WEBHOOK_RETRY_PAUSES_MS,
    onFree: () => sending.nudge(),
  });
  const sweep = () => dispatcher.sweep();
  const sending = new Relay({ name: "sending webhooks", everyMs, restMs: rests * everyMs, log, sweep });
  return { dispatcher, sending };
}

/** What goes on beside: events are read, what there is to do is counted, and what is old is forgotten. */
function loopsOf(
  { config, deliveries, secrets, metrics, logger: log }: Ground,
  reader?: EventReader<HeardEvent>,
): Relay[] {
  const everyMs = config.WEBHOOK_SWEEP_MS;
  const forget = async () =>
    (await deliveries.forget(config.WEBHOOK_KEEP_DAYS, forgetBatch)) + (await secrets.forget());
  const count = async () => {
    metrics.backlog(await deliveries.backlog());
    return 0;
  };
  const reading =
    reader && new Relay({ name: "reading events", everyMs, maxPauseMs, log, sweep: () => reader.sweep() });
  return [
    ...(reading ? [reading] : []),
    new Relay({ name: "counting webhooks", everyMs: backlogEveryMs, log, sweep: count }),
    new Relay({ name: "forgetting webhooks", everyMs: forgetEveryMs, log, sweep: forget }),
  ];
}
