import type { Registry } from "prom-client";
import type { EventsConfig } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import type { Logger } from "#platform/log/logger.ts";
import { EventRelay } from "./event-relay.ts";
import type { EventTypes } from "./event-types.ts";
import { EventsRepository } from "./events.repository.ts";
import { NatsBroker } from "./nats-broker.ts";

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
  const broker = brokerOf(config, service);
  return new EventRelay({ service, types, format, repository, broker, registry, log });
}

/** Undefined where nobody is told. */
function brokerOf(config: Partial<EventsConfig>, name: string): NatsBroker | undefined {
  const { EVENTS_NATS_URL: servers, EVENTS_STREAM: stream } = config;
  if (!servers || !stream) return undefined;
  return new NatsBroker({
    servers,
    username: config.EVENTS_NATS_USERNAME,
    password: config.EVENTS_NATS_PASSWORD,
    caFile: config.EVENTS_NATS_CA,
    name,
    stream: {
      name: stream,
      maxAgeMs: config.EVENTS_STREAM_MAX_AGE_MS ?? 0,
      maxBytes: config.EVENTS_STREAM_MAX_BYTES ?? -1,
      replicas: config.EVENTS_STREAM_REPLICAS ?? 1,
    },
  });
}
