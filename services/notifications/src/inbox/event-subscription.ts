import {
  AckPolicy,
  type Consumer,
  type ConsumerConfig,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { type NatsConnection, nanos } from "@nats-io/transport-node";
import { answerMs, connectNats, type NatsOptions } from "#platform/events/nats-connection.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { SubscriptionMetrics } from "../proof/metrics.ts";
import { type HeardEvent, heardSubjects, readEvent } from "./heard-event.ts";

/** What a subscription works with. */
export interface EventSubscriptionOptions {
  readonly nats: NatsOptions;
  /** Keeps events before the broker is told that they arrived. */
  readonly inbox: {
    store(events: readonly HeardEvent[]): Promise<number>;
    since(): Promise<Date>;
  };
  readonly metrics: SubscriptionMetrics;
  readonly log: Pick<Logger, "error">;
}

/** What all replicas of the service read by. */
const durable = "notifications";
/** The most events of one batch, which are all that is in memory. */
const batchSize = 200;
/** How long a batch waits for company, in milliseconds: the least that JetStream takes. */
const waitMs = 1_000;
/** An event that nobody has acknowledged for so long is given to another replica, in milliseconds. */
const ackWaitMs = 30_000;
/** Events that are given out and not acknowledged, of all replicas. */
const mostUnacknowledged = 2_000;

/**
 * Reads events from the stream, by one durable consumer that all replicas share. An event is acknowledged when it is in the inbox: whoever dies
 * before has it given to another one, or to himself. Nothing is kept in memory but the batch.
 */
export class EventSubscription {
  readonly #options: EventSubscriptionOptions;
  #connected: { readonly connection: NatsConnection; readonly consumer: Consumer } | undefined;

  constructor(options: EventSubscriptionOptions) {
    this.#options = options;
    options.nats.password?.onChange(() => void this.close());
  }

  /**
   * Waits a second for events and keeps those that come; returns how many. For a `Relay`.
   *
   * @throws Error when there is no such broker, or when they could not be kept
   */
  async sweep(): Promise<number> {
    try {
      const { consumer } = await this.#connect();
      const messages = await fetchFrom(consumer);
      await this.#keep(messages);
      if (messages.length < batchSize) await this.#measure(consumer);
      return messages.length;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Gives the connection up: what was not acknowledged comes again. */
  async close(): Promise<void> {
    const connected = this.#connected;
    this.#connected = undefined;
    await connected?.connection.close();
  }

  async #keep(messages: readonly JsMsg[]): Promise<void> {
    const { inbox, metrics } = this.#options;
    const events = messages.flatMap((message) => this.#read(message) ?? []);
    const fresh = await inbox.store(events);
    metrics.heard({ fresh, known: events.length - fresh });
    for (const message of messages) message.ack();
  }

  /** Undefined for one that concerns nobody, or that nobody can read: it would come again for ever. */
  #read(message: JsMsg): HeardEvent | undefined {
    const attribute = (name: string) => decodeURIComponent(message.headers?.get(`ce-${name}`) ?? "");
    try {
      return readEvent({ attribute, data: message.data });
    } catch (error) {
      this.#options.metrics.unreadable();
      const fields = { err: error, "event.action": message.subject, "event.sequence": message.seq };
      this.#options.log.error("an event cannot be read, and nobody is told of it", fields);
      return undefined;
    }
  }

  async #measure(consumer: Consumer): Promise<void> {
    const { num_pending: pending, num_ack_pending: given } = await consumer.info();
    this.#options.metrics.unread(pending + given);
  }

  async #connect() {
    if (this.#connected && !this.#connected.connection.isClosed()) return this.#connected;
    const { nats, inbox } = this.#options;
    const connection = await connectNats(nats);
    try {
      const consumer = await ensureConsumer(connection, nats.stream.name, () => inbox.since());
      this.#connected = { connection, consumer };
      return this.#connected;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }
}

async function fetchFrom(consumer: Consumer): Promise<JsMsg[]> {
  const messages: JsMsg[] = [];
  for await (const message of await consumer.fetch({ max_messages: batchSize, expires: waitMs }))
    messages.push(message);
  return messages;
}

/** The consumer as this version wants it. It is where it was, unless it is made: then it begins where the inbox ends. */
async function ensureConsumer(
  connection: NatsConnection,
  stream: string,
  since: () => Promise<Date>,
): Promise<Consumer> {
  const manager = await jetstreamManager(connection, { timeout: answerMs });
  const wanted: Partial<ConsumerConfig> = {
    filter_subjects: [...heardSubjects],
    ack_wait: nanos(ackWaitMs),
    max_ack_pending: mostUnacknowledged,
  };
  const found = await manager.consumers.info(stream, durable).catch((error: unknown) => {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound) return undefined;
    throw error;
  });
  if (found) await manager.consumers.update(stream, durable, wanted);
  else
    await manager.consumers.add(stream, {
      ...wanted,
      durable_name: durable,
      description: "What customers are told of",
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.StartTime,
      opt_start_time: (await since()).toISOString(),
    });
  return jetstream(connection, { timeout: answerMs }).consumers.get(stream, durable);
}
