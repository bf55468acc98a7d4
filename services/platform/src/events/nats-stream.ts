import { type Consumer, DeliverPolicy, type JsMsg, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { answerMs, connectNats, eventAddresses, type NatsOptions } from "./nats-connection.ts";

/** Events that follow one place in the stream. */
export interface Fetched {
  readonly messages: readonly JsMsg[];
  /** Where the reader is behind them. */
  readonly place: number;
  /** So many events behind the place before are gone: the stream keeps them no longer. */
  readonly lost: number;
  /** Events that are left. */
  readonly unread: number;
}

/** How long the first event of a batch is waited for, in milliseconds: the least that JetStream takes. */
const waitMs = 1_000;
/** A consumer that nobody asks is forgotten by the broker after so long, in milliseconds. */
const forgottenMs = 60_000;
/** After so many fetches in a row without an event it is asked anew where the stream is: a broker that was restarted knows the consumer no more, and may not say so. */
const mostIdle = 30;

interface Connected {
  readonly connection: NatsConnection;
  readonly consumer: Consumer;
  lost: number;
  /** The last place that it has given out. */
  place: number;
  /** Fetches in a row that found nothing. */
  idle: number;
}

/**
 * The stream of events, read in its order from wherever the reader is. Where that is, the reader keeps with what it makes of the events, and not the
 * broker: a consumer that the broker keeps gives an event that nobody has acknowledged behind those that came after it.
 */
export class NatsStream {
  readonly #nats: NatsOptions;
  #connected: Connected | undefined;

  constructor(nats: NatsOptions) {
    this.#nats = nats;
    nats.password?.onChange(() => void this.close());
  }

  /** The number of the last event that there is; 0 when there never was one. @throws Error when there is no such broker */
  async end(): Promise<number> {
    const connection = await connectNats(this.#nats);
    try {
      return (await this.#state(connection)).last_seq;
    } finally {
      await connection.close();
    }
  }

  /**
   * The events behind a place that are there, at most `most` of them; while there is none, it waits a second for the first.
   *
   * @throws Error when there is no such broker
   */
  async after(place: number, most: number): Promise<Fetched> {
    try {
      const connected = await this.#at(place);
      const messages = await batchOf(connected.consumer, most);
      const last = messages.at(-1);
      const { lost } = connected;
      connected.place = last?.seq ?? connected.place;
      connected.lost = 0;
      connected.idle = last ? 0 : connected.idle + 1;
      return { messages, place: connected.place, lost, unread: last?.info.pending ?? 0 };
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Gives the connection up. */
  async close(): Promise<void> {
    const connected = this.#connected;
    this.#connected = undefined;
    await connected?.connection.close();
  }

  /** A consumer that goes on behind a place. */
  async #at(place: number): Promise<Connected> {
    const known = this.#connected;
    if (known?.place === place && known.idle < mostIdle && !known.connection.isClosed()) return known;
    await this.close();
    const connection = await connectNats(this.#nats);
    try {
      const { first_seq: first, last_seq: last } = await this.#state(connection);
      // A stream that was made anew begins at 1.
      const from = last < place ? 1 : place + 1;
      const consumer = await jetstream(connection, { timeout: answerMs }).consumers.get(this.#nats.stream.name, {
        filter_subjects: eventAddresses,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: from,
        inactive_threshold: forgottenMs,
      });
      const lost = Math.max(0, Math.min(first, last + 1) - from);
      this.#connected = { connection, consumer, lost, place: from - 1 + lost, idle: 0 };
      return this.#connected;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  async #state(connection: NatsConnection) {
    const manager = await jetstreamManager(connection, { timeout: answerMs });
    return (await manager.streams.info(this.#nats.stream.name)).state;
  }
}

/** A fetch ends when it has all that it wants, or its time is over: so it wants one, and then what is there besides. */
async function batchOf(consumer: Consumer, most: number): Promise<JsMsg[]> {
  const first = await consumer.next({ expires: waitMs });
  if (!first) return [];
  const messages = [first];
  const more = Math.min(first.info.pending, most - 1);
  if (more === 0) return messages;
  for await (const message of await consumer.fetch({ max_messages: more, expires: waitMs })) messages.push(message);
  return messages;
}
