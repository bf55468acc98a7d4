import type { JsMsg } from "@nats-io/jetstream";
import { Counter, Gauge, type Registry } from "prom-client";
import type { Database } from "../database/database.ts";
import type { SqlText } from "../database/sql-text.ts";
import type { Transaction } from "../database/transaction.ts";
import type { Logger } from "../log/logger.ts";
import { typeAt } from "./cloud-event.ts";
import type { NatsOptions } from "./nats-connection.ts";
import { NatsStream } from "./nats-stream.ts";

/** An event as the stream has it. */
export interface CarriedEvent {
  /** Its number in the stream. */
  readonly place: number;
  /** An attribute of CloudEvents; empty when there is none. */
  readonly attribute: (name: string) => string;
  readonly data: Uint8Array;
}

/** What becomes of the events of one batch. */
export interface Reading<Event> {
  /** Whether events of this type are read. Of others nothing is looked at but where the broker has them: that is most of the work. */
  readonly wants: (type: string) => boolean;
  /** Writes down what follows from the events, in their order; told besides how many were not read. */
  readonly keep: (events: readonly Event[], passedOver: number) => Promise<void>;
}

/** What a reader works with, and what a service makes of events. */
export interface EventReaderOptions<Event> {
  readonly nats: NatsOptions;
  /** Has the table of `streamCursorTable`. */
  readonly database: Database;
  /** Undefined for an event that concerns nobody here. @throws Error for one that nobody can read */
  readonly read: (event: CarriedEvent) => Event | undefined;
  /** Says what becomes of events that were fetched; all of it in this transaction. */
  readonly begin: (tx: Transaction) => Promise<Reading<Event>>;
  readonly registry: Registry;
  readonly log: Pick<Logger, "error">;
}

/** One process reads at a time. Any number, the same in every process, and another one than the audit stream's. */
const lockKey = 7_203_119;
/** Events of one transaction, which are all that is in memory. */
const batchSize = 200;

const lock: SqlText = {
  name: "lock-stream-cursor",
  text: `select pg_try_advisory_xact_lock(${lockKey}) as locked`,
};

const readCursor: SqlText = { name: "read-stream-cursor", text: "select place from stream_cursor" };

const beginCursor: SqlText = {
  name: "begin-stream-cursor",
  text: "insert into stream_cursor (place) values ($1)",
};

const moveCursor: SqlText = { name: "move-stream-cursor", text: "update stream_cursor set place = $1" };

/**
 * The table in which a service keeps up to where it has read the stream; called by its migration, and therefore never changed.
 *
 * @param service whose role it is that reads
 */
export function streamCursorTable(service: string): string[] {
  return [
    `create table stream_cursor (
      only_row boolean not null default true constraint stream_cursor_one_row check (only_row),
      place bigint not null,
      constraint stream_cursor_pkey primary key (only_row)
    )`,
    "comment on column stream_cursor.place is 'the number in the stream of the last event that was read'",
    `grant select, insert, update on stream_cursor to ${service}`,
  ];
}

/**
 * Reads the stream in its order, and writes down in one transaction what follows from the events and that they were read: whoever dies between
 * any two lines has done nothing, or all of it. What happened before the service first read is not read.
 */
export class EventReader<Event> {
  readonly #options: EventReaderOptions<Event>;
  readonly #stream: NatsStream;
  readonly #metrics: ReturnType<typeof metricsIn>;

  constructor(options: EventReaderOptions<Event>) {
    this.#options = options;
    this.#stream = new NatsStream(options.nats);
    this.#metrics = metricsIn(options.registry);
  }

  /** Reads a batch, if no other process does; returns how many events that were. For a `Relay`. @throws Error when the broker is away */
  sweep(): Promise<number> {
    return this.#options.database.transaction(async (tx) => {
      const [held] = await tx.query<{ locked: boolean }>(lock);
      if (!held?.locked) return 0;
      const place = await this.#place(tx);
      const fetched = await this.#stream.after(place, batchSize);
      if (fetched.messages.length > 0) await this.#keep(tx, fetched.messages);
      if (fetched.place !== place) await tx.query(moveCursor, [fetched.place]);
      this.#tell(fetched);
      return fetched.messages.length;
    });
  }

  /** Gives the connection up: who waits for events waits no longer. */
  close(): Promise<void> {
    return this.#stream.close();
  }

  async #keep(tx: Transaction, messages: readonly JsMsg[]): Promise<void> {
    // Asked for behind the fetch: who wants events from now on is told of those that came meanwhile.
    const { wants, keep } = await this.#options.begin(tx);
    const wanted = messages.filter(({ subject }) => wants(typeAt(subject)));
    const events = wanted.flatMap((message) => this.#read(message) ?? []);
    await keep(events, messages.length - wanted.length);
  }

  async #place(tx: Transaction): Promise<number> {
    const [cursor] = await tx.query<{ place: bigint }>(readCursor);
    if (cursor) return Number(cursor.place);
    const end = await this.#stream.end();
    await tx.query(beginCursor, [end]);
    return end;
  }

  /** Undefined as well for one that nobody can read: it would come again for ever. */
  #read(message: JsMsg): Event | undefined {
    const attribute = (name: string) => decodeURIComponent(message.headers?.get(`ce-${name}`) ?? "");
    try {
      return this.#options.read({ place: message.seq, attribute, data: message.data });
    } catch (error) {
      this.#metrics.unreadable.inc();
      const fields = { err: error, "event.action": message.subject, "stream.place": message.seq };
      this.#options.log.error("an event cannot be read, and nobody is told of it", fields);
      return undefined;
    }
  }

  #tell({ lost, unread }: { readonly lost: number; readonly unread: number }): void {
    this.#metrics.unread.set(unread);
    if (lost === 0) return;
    this.#metrics.lost.inc(lost);
    this.#options.log.error(
      `${lost} events were gone from the stream before they were read, and nobody is told of them`,
    );
  }
}

function metricsIn(registry: Registry) {
  const registers = [registry];
  return {
    unread: new Gauge({
      name: "events_unread",
      help: "Events that the stream has and the service has not read; as of the last time that it asked.",
      registers,
    }),
    lost: new Counter({
      name: "events_lost_total",
      help: "Events that the stream no longer had when they were to be read: nobody is told of them.",
      registers,
    }),
    unreadable: new Counter({
      name: "events_unreadable_total",
      help: "Events that nobody can read, and nobody is told of.",
      registers,
    }),
  };
}
