import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { Registry } from "prom-client";
import { NotificationService } from "#gen/shop/notifications/v1/notification_service_pb.js";
import type { Order } from "#gen/shop/orders/v1/order_pb.js";
import type { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { AuditTrail, type AuditTrailOptions } from "#platform/audit/audit-trail.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { Database } from "#platform/database/database.ts";
import { EventReader } from "#platform/events/event-reader.ts";
import { natsOptionsOf } from "#platform/events/nats-connection.ts";
import type { Logger } from "#platform/log/logger.ts";
import { mailServerOf } from "#platform/mail/mail-config.ts";
import type { MailServer } from "#platform/mail/mail-server.ts";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceParts } from "#platform/process/service.ts";
import { NotificationApi } from "./api/notification-api.ts";
import type { NotificationsConfig } from "./config.ts";
import { Sender } from "./delivery/sender.ts";
import { type HeardEvent, isHeard, readEvent } from "./inbox/heard-event.ts";
import { InboxRepository } from "./inbox/inbox.repository.ts";
import { NotificationRepository } from "./outbox/notification.repository.ts";
import { Planner } from "./plan/planner.ts";
import { NotificationMetrics } from "./proof/metrics.ts";
import { RecipientRepository } from "./recipient/recipient.repository.ts";

/** What the notifications service is built from; a test gives its own. */
export interface NotificationsContext {
  readonly config: NotificationsConfig;
  readonly database: Database;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Where the audit log is published: where the logger writes. */
  readonly output: AuditTrailOptions["output"];
  readonly orders: Pick<Client<typeof OrderService>, "getOrder">;
}

/** What every part of the service builds on. */
interface Ground extends NotificationsContext {
  readonly inbox: InboxRepository;
  readonly notifications: NotificationRepository;
  readonly recipients: RecipientRepository;
  readonly metrics: NotificationMetrics;
  readonly orderOf: (orderId: string) => Promise<Order | undefined>;
}

/** Rows that are forgotten with one statement, and how often is looked for them, in milliseconds. */
const forgetBatch = 5_000;
const forgetEveryMs = 600_000;
/** How often is counted what there is to do, in milliseconds. */
const backlogEveryMs = 5_000;
/** While there is nothing to do, loops look so many times as seldom. */
const rests = 4;
/** The longest pause while somebody is away, in milliseconds. */
const maxPauseMs = 30_000;

/** Builds the notifications service. */
export function buildNotifications(context: NotificationsContext): ServiceParts {
  const { config, database, registry, orders } = context;
  const ground: Ground = {
    ...context,
    inbox: new InboxRepository(database),
    notifications: new NotificationRepository(database),
    recipients: new RecipientRepository(database),
    metrics: new NotificationMetrics(registry),
    orderOf: (orderId) => orderOf(orders, orderId, config.ORDERS_TIMEOUT_MS),
  };
  const audit = new AuditTrail({ service: "notifications", ...context });
  const api = new NotificationApi({
    ...ground,
    pageTokens: new PageTokens(config.PAGE_TOKEN_SECRET),
    budgetMs: config.NOTIFICATION_BUDGET_MS,
  });
  const reader = readerOf(ground);
  const server = mailServerOf(config);
  const loops = [audit, ...loopsOf(ground, reader, server)];
  return {
    services: [register(NotificationService, api), audit.registration],
    async start() {
      for (const loop of loops) loop.start();
    },
    async stop() {
      // Whoever waits for events is not waited for.
      const stopped = loops.map((loop) => loop.stop());
      await Promise.all([reader?.close(), ...stopped]);
      await server?.close();
    },
  };
}

/** The order as it is. Who is to be told, only orders knows. */
async function orderOf(orders: NotificationsContext["orders"], orderId: string, timeoutMs: number) {
  try {
    return (await orders.getOrder({ orderId }, { timeoutMs })).order;
  } catch (error) {
    if (ConnectError.from(error).code === Code.NotFound) return undefined;
    throw error;
  }
}

function readerOf({
  config,
  database,
  registry,
  inbox,
  metrics,
  logger: log,
}: Ground): EventReader<HeardEvent> | undefined {
  const nats = natsOptionsOf(config, "notifications");
  if (nats && config.MAIL_SERVER_URL)
    return new EventReader({
      nats,
      database,
      registry,
      log,
      read: readEvent,
      begin: async (tx) => ({
        wants: isHeard,
        keep: async (events) => {
          const fresh = await inbox.store(tx, events);
          metrics.heard({ fresh, known: events.length - fresh });
        },
      }),
    });
  log.warn("customers are told nothing: set EVENTS_NATS_URL, where events are heard, and MAIL_SERVER_URL");
  return undefined;
}

function senderOf({ config, logger: log, ...ground }: Ground, server: MailServer): Sender {
  return new Sender({
    ...ground,
    server,
    log,
    shopName: config.MAIL_SHOP_NAME,
    timeZone: config.MAIL_TIME_ZONE,
    width: config.MAIL_CONNECTIONS,
    timeoutMs: config.MAIL_TIMEOUT_MS + config.ORDERS_TIMEOUT_MS,
    pause: { firstMs: config.NOTIFICATION_RETRY_MS, mostMs: config.NOTIFICATION_RETRY_MAX_MS },
  });
}

/** What goes on in the background: events are read, decided about and told of, counted, and forgotten. */
function loopsOf(ground: Ground, reader: EventReader<HeardEvent> | undefined, server?: MailServer): Relay[] {
  const { config, inbox, notifications, recipients, metrics, orderOf, logger: log } = ground;
  const everyMs = config.NOTIFICATION_SWEEP_MS;
  const loop = (name: string, sweep: () => Promise<number>) =>
    new Relay({ name, everyMs, restMs: rests * everyMs, maxPauseMs, log, sweep });
  // It waits by itself while there is nothing.
  const reading =
    reader && new Relay({ name: "reading events", everyMs, maxPauseMs, log, sweep: () => reader.sweep() });
  const planner = new Planner({
    inbox,
    notifications,
    recipients,
    orderOf,
    log,
    budgetMs: config.NOTIFICATION_BUDGET_MS,
    onPlanned: (kind) => metrics.became(kind, "planned"),
  });
  const sender = server && senderOf(ground, server);
  const forget = async () =>
    (await inbox.forget(config.INBOX_KEEP_DAYS, forgetBatch)) +
    (await notifications.forget(config.NOTIFICATION_KEEP_DAYS, forgetBatch));
  const count = async () => {
    metrics.backlog(...(await Promise.all([inbox.backlog(), notifications.backlog()])));
    return 0;
  };
  return [
    ...(reading ? [reading] : []),
    loop("deciding who is told", () => planner.sweep()),
    ...(sender ? [loop("sending notifications", () => sender.sweep())] : []),
    new Relay({ name: "counting notifications", everyMs: backlogEveryMs, log, sweep: count }),
    new Relay({ name: "forgetting notifications", everyMs: forgetEveryMs, log, sweep: forget }),
  ];
}
