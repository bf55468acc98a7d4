import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { connect, headers, type NatsConnection, nanos } from "@nats-io/transport-node";
import type { Secret } from "#platform/secret.ts";
import { type CloudEvent, headerText } from "./cloud-event.ts";
import type { Delivered } from "./events.repository.ts";
import { type NatsMessage, NatsRounds } from "./nats-rounds.ts";
import { roundsOf } from "./rounds.ts";

/** Where events go, and as who. */
export interface NatsBrokerOptions {
  /** `nats://host:port` or `tls://host:port`, of one server or of several of a cluster. */
  readonly servers: readonly string[];
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  /** The file of the authority that signed the servers' certificates; the machine's own unless given. */
  readonly caFile?: string | undefined;
  /** What the connection is called in the server's lists. */
  readonly name: string;
  readonly stream: EventStream;
}

/** The stream that keeps the events; made when there is none, and left as it is when there is one. */
export interface EventStream {
  readonly name: string;
  /** Events older than this are gone, in milliseconds. */
  readonly maxAgeMs: number;
  /** And the oldest when all together take more than so many bytes. */
  readonly maxBytes: number;
  /** On so many servers of a cluster. */
  readonly replicas: number;
}

/** An event with the subject of NATS that it goes to. */
export interface Addressed {
  /** `ordermesh.<service>.<action>`. */
  readonly address: string;
  readonly event: CloudEvent;
}

/** All events of all services. */
export const eventAddresses = "ordermesh.>";
/** Within it an id that comes twice is stored once: JetStream remembers so many, 100 bytes each. In milliseconds. */
export const duplicateWindowMs = 120_000;
/** How long one answer may take, in milliseconds, and how long a whole delivery: the cursor's transaction waits for it. */
const answerMs = 4_000;
const deliveryMs = 5_000;
/** Events on their way at the same time. */
const mostOnTheirWay = 256;

/** NATS JetStream. A connection that fails in any way is given up, with what it has buffered; the next delivery makes another. */
export class NatsBroker {
  readonly #options: NatsBrokerOptions;
  #connected: { readonly connection: NatsConnection; readonly rounds: NatsRounds } | undefined;

  constructor(options: NatsBrokerOptions) {
    this.#options = options;
    options.password?.onChange(() => void this.close());
  }

  /**
   * Connects, unless it is connected, and sees that there is the stream.
   *
   * @throws Error when there is no such broker, or no such stream
   */
  async open(): Promise<void> {
    await this.#connect();
  }

  /**
   * Sends events in the order of the list, of one subject one after the other, and returns once the stream keeps them; an event that it
   * keeps already counts as well. One that does not arrive holds back what comes after it.
   *
   * @throws Error when there is no such broker, or no such stream
   */
  async deliver(list: readonly Addressed[]): Promise<Delivered> {
    const end = performance.now() + deliveryMs;
    const { rounds } = await this.#connect();
    const arrived = new Set<Addressed>();
    let error: Error | undefined;
    for (const round of roundsOf(list, ({ event }) => event.attributes.subject, mostOnTheirWay)) {
      if (error !== undefined || performance.now() > end) break;
      const outcomes = await rounds.send(
        round.map((each) => this.#message(each)),
        answerMs,
      );
      for (const [index, each] of round.entries()) {
        if (outcomes[index] === undefined) arrived.add(each);
        else error ??= outcomes[index];
      }
    }
    if (error !== undefined) await this.close();
    const missing = list.findIndex((each) => !arrived.has(each));
    return { arrived: missing < 0 ? list.length : missing, error };
  }

  /** Gives the connection up. What is on its way arrives or does not. */
  async close(): Promise<void> {
    const connected = this.#connected;
    this.#connected = undefined;
    await connected?.connection.close();
  }

  #message({ address, event: { attributes, data } }: Addressed): NatsMessage {
    const all = headers();
    all.set("Nats-Msg-Id", attributes.id);
    all.set("Nats-Expected-Stream", this.#options.stream.name);
    for (const [name, value] of Object.entries(attributes)) all.set(`ce-${name}`, headerText(value));
    return { address, data, headers: all };
  }

  async #connect() {
    if (this.#connected && !this.#connected.connection.isClosed()) return this.#connected;
    const { servers, username, password, caFile, name } = this.#options;
    const connection = await connect({
      servers: [...servers],
      name,
      ...(username && { user: username, pass: password?.text ?? "" }),
      // Else whoever stands between could have it speak without.
      ...(servers.some((server) => server.startsWith("tls:")) && { tls: caFile ? { caFile } : {} }),
      // Else what is sent while it is away would wait in memory. The relay comes back by itself.
      reconnect: false,
      timeout: answerMs,
      pingInterval: 10_000,
      maxPingOut: 2,
    });
    try {
      await this.#ensureStream(connection);
    } catch (error) {
      await connection.close();
      throw error;
    }
    this.#connected = { connection, rounds: new NatsRounds(connection) };
    return this.#connected;
  }

  async #ensureStream(connection: NatsConnection): Promise<void> {
    const { name } = this.#options.stream;
    const manager = await jetstreamManager(connection, { timeout: answerMs });
    const found = await manager.streams.info(name).catch((error: unknown) => {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
      throw error;
    });
    const { config } = found ?? (await manager.streams.add(this.#wanted()));
    if (config.subjects?.includes(eventAddresses)) return;
    throw new Error(
      `the stream ${name} does not keep ${eventAddresses}: add it to the stream's subjects, or name another`,
    );
  }

  #wanted(): Pick<StreamConfig, "name"> & Partial<StreamConfig> {
    const { name, maxAgeMs, maxBytes, replicas } = this.#options.stream;
    return {
      name,
      subjects: [eventAddresses],
      description: "What happened to orders, payments, stock, shipments and customers",
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
      max_age: nanos(maxAgeMs),
      max_bytes: maxBytes,
      num_replicas: replicas,
      duplicate_window: nanos(Math.min(duplicateWindowMs, maxAgeMs)),
    };
  }
}
