import type { Registry } from "prom-client";
import type { EventsConfig } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import type { Logger } from "#platform/log/logger.ts";
import { EventRelay } from "./event-relay.ts";
import type { EventTypes } from "./event-types.ts";
import { EventsRepository } from "./events.repository.ts";
import { NatsBroker } from "./nats-broker.ts";
import { natsOptionsOf } from "./nats-connection.ts";

/** What tells subscribers is built from: a service's context, its name, and what becomes of the actions of its audit log. */
export interface EventFeedOptions {
  readonly service: string;
  readonly types: EventTypes;
  readonly database: Database;
  readonly registry: Registry;
  readonly logger: Logger;
  readonly config: Partial<EventsConfig>;
}

/** What tells subscribers of a service's effects, to be started and stopped with its other background work. Without a broker it does nothing. */
export function createEventFeed({
  service,
  types,
  database,
  registry,
  logger: log,
  config,
}: EventFeedOptions): EventRelay {
  const repository = new EventsRepository(database);
  const format = config.EVENTS_FORMAT ?? "json";
  const nats = natsOptionsOf(config, service);
  const broker = nats && new NatsBroker(nats);
  return new EventRelay({ service, types, format, repository, broker, registry, log });
}
