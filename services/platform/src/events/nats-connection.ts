import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { connect, type NatsConnection, nanos } from "@nats-io/transport-node";
import type { EventsConfig } from "#platform/config.ts";
import type { Secret } from "#platform/secret.ts";

/** Where events are, and who asks for them. */
export interface NatsOptions {
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

/** All events of all services. */
export const eventAddresses = "ordermesh.>";
/** Within it an id that comes twice is stored once: JetStream remembers so many, 100 bytes each. In milliseconds. */
export const duplicateWindowMs = 120_000;
/** How long one answer may take, in milliseconds. */
export const answerMs = 4_000;

/** What the settings of a service say of where events are. @returns undefined where they name no broker */
export function natsOptionsOf(config: Partial<EventsConfig>, name: string): NatsOptions | undefined {
  const { EVENTS_NATS_URL: servers, EVENTS_STREAM: stream } = config;
  if (!servers || !stream) return undefined;
  return {
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
  };
}

/**
 * Connects, and sees that there is the stream. A connection that is lost stays so: whoever has it makes another.
 *
 * @throws Error when there is no such broker, or no such stream
 */
export async function connectNats(options: NatsOptions): Promise<NatsConnection> {
  const { servers, username, password, caFile, name, stream } = options;
  const connection = await connect({
    servers: [...servers],
    name,
    ...(username && { user: username, pass: password?.text ?? "" }),
    // Else whoever stands between could have it speak without.
    ...(servers.some((server) => server.startsWith("tls:")) && { tls: caFile ? { caFile } : {} }),
    // Else what is sent while it is away would wait in memory. Its user comes back by itself.
    reconnect: false,
    timeout: answerMs,
    pingInterval: 10_000,
    maxPingOut: 2,
  });
  try {
    await ensureStream(connection, stream);
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function ensureStream(connection: NatsConnection, stream: EventStream): Promise<void> {
  const { name } = stream;
  const manager = await jetstreamManager(connection, { timeout: answerMs });
  const found = await manager.streams.info(name).catch((error: unknown) => {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
    throw error;
  });
  const { config } = found ?? (await manager.streams.add(wantedOf(stream)));
  if (config.subjects?.includes(eventAddresses)) return;
  throw new Error(
    `the stream ${name} does not keep ${eventAddresses}: add it to the stream's subjects, or name another`,
  );
}

function wantedOf({
  name,
  maxAgeMs,
  maxBytes,
  replicas,
}: EventStream): Pick<StreamConfig, "name"> & Partial<StreamConfig> {
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
