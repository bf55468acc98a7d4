import { jetstreamManager, type StoredMsg } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Registry } from "prom-client";
import { StockEventSchema } from "#gen/shop/events/v1/stock_event_pb.js";
import type { Database } from "#platform/database/database.ts";
import type { EventFormat } from "#platform/events/cloud-event.ts";
import { EventRelay } from "#platform/events/event-relay.ts";
import { type EventTypes, internal, told } from "#platform/events/event-types.ts";
import { EventsRepository } from "#platform/events/events.repository.ts";
import { NatsBroker } from "#platform/events/nats-broker.ts";
import { quietLogger } from "#testing/logger.ts";

/** What the tests' service tells: its `payment.captured` is an article's quantity, so that there is something to say. */
export const types: EventTypes = {
  "payment.captured": told(StockEventSchema, ({ subject, details }) => ({
    parts: [{ sku: subject, quantity: BigInt(details.value ?? 0) }],
  })),
  "audit.read": internal("Nobody needs it."),
};

export const stream = { name: "ordermesh", maxAgeMs: 3_600_000, maxBytes: 64 * 1024 * 1024, replicas: 1 };

/** One replica's relay, with the means to look into it. */
export function replica(
  database: Database,
  server: string,
  given: { readonly batch?: number; readonly everyMs?: number; readonly format?: EventFormat } = {},
) {
  const registry = new Registry();
  const broker = new NatsBroker({ servers: [server], name: "platform", stream });
  const { format = "json", ...how } = given;
  const repository = new EventsRepository(database);
  const log = quietLogger();
  const relay = new EventRelay({ service: "platform", types, format, repository, broker, registry, log, ...how });
  const figure = async (name: string) => (await registry.getSingleMetric(name)?.get())?.values[0]?.value ?? 0;
  return { relay, broker, registry, figure };
}

/** A message as a subscriber gets it. */
export interface Stored {
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: Uint8Array;
}

function toStored({ subject, header, data }: StoredMsg): Stored {
  const headers = Object.fromEntries([...header].map(([name, [value = ""]]) => [name, value]));
  return { subject, headers, data };
}

/** All that the stream has, in its order. */
export async function storedIn(server: string): Promise<Stored[]> {
  const connection = await connect({ servers: server, timeout: 5_000, reconnect: false });
  try {
    const { streams } = await jetstreamManager(connection);
    const { state } = await streams.info(stream.name);
    const list: Stored[] = [];
    for (let sequence = state.first_seq; sequence <= state.last_seq; sequence += 1) {
      const message = await streams.getMessage(stream.name, { seq: sequence });
      if (message) list.push(toStored(message));
    }
    return list;
  } finally {
    await connection.close();
  }
}

/** Forgets all that the stream has, and what it remembers of ids. */
export async function removeStream(server: string): Promise<void> {
  const connection = await connect({ servers: server, timeout: 5_000, reconnect: false });
  const { streams } = await jetstreamManager(connection);
  await streams.delete(stream.name).catch(() => undefined);
  await connection.close();
}
