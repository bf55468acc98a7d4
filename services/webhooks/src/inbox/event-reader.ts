import type { JsMsg } from "@nats-io/jetstream";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import type { Logger } from "#platform/log/logger.ts";
import { type HeardEvent, readEvent } from "../delivery/heard-event.ts";
import { plan } from "../delivery/plan.ts";
import { type SubscriptionOf, subscriptionsOf } from "../endpoint/endpoint.repository.ts";
import type { WebhookMetrics } from "../proof/metrics.ts";
import type { EventStream } from "./event-stream.ts";

/** What a reader works with. */
export interface EventReaderOptions {
  readonly database: Database;
  readonly stream: Pick<EventStream, "end" | "after" | "close">;
  readonly metrics: Pick<WebhookMetrics, "heard" | "unread" | "lost">;
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
 * Reads the stream in its order, and writes down in one transaction what each event has to be told to whom, and that it was read: whoever dies
 * between any two lines has done nothing, or all of it. Events that happened before the service first read are told to nobody.
 */
export class EventReader {
  readonly #options: EventReaderOptions;

  constructor(options: EventReaderOptions) {
    this.#options = options;
  }

  /** Reads a batch, if no other process does; returns how many events that were. For a `Relay`. @throws Error when the broker is away */
  sweep(): Promise<number> {
    return this.#options.database.transaction(async (tx) => {
      const [held] = await tx.query<{ locked: boolean }>(lock);
      if (!held?.locked) return 0;
      const place = await this.#place(tx);
      const fetched = await this.#options.stream.after(place, batchSize);
      await this.#keep(tx, fetched.messages);
      if (fetched.place !== place) await tx.query(moveCursor, [fetched.place]);
      this.#tell(fetched);
      return fetched.messages.length;
    });
  }

  async #place(tx: Transaction): Promise<number> {
    const [cursor] = await tx.query<{ place: bigint }>(readCursor);
    if (cursor) return Number(cursor.place);
    const end = await this.#options.stream.end();
    await tx.query(beginCursor, [end]);
    return end;
  }

  async #keep(tx: Transaction, messages: readonly JsMsg[]): Promise<void> {
    if (messages.length === 0) return;
    const events = messages.flatMap((message) => this.#read(message) ?? []);
    const subscriptions: SubscriptionOf[] = await subscriptionsOf(tx);
    const told = await plan(tx, events, subscriptions);
    this.#options.metrics.heard("told", told);
    this.#options.metrics.heard("unwanted", events.length - told);
  }

  /** Undefined for one that nobody can read: it would come again for ever. */
  #read(message: JsMsg): HeardEvent | undefined {
    const attribute = (name: string) => decodeURIComponent(message.headers?.get(`ce-${name}`) ?? "");
    try {
      return readEvent({ place: message.seq, attribute, data: message.data });
    } catch (error) {
      this.#options.metrics.heard("unreadable");
      const fields = { err: error, "webhook.place": message.seq };
      this.#options.log.error("an event cannot be read, and nobody is told of it", fields);
      return undefined;
    }
  }

  #tell({ lost, unread }: { readonly lost: number; readonly unread: number }): void {
    this.#options.metrics.unread(unread);
    if (lost === 0) return;
    this.#options.metrics.lost(lost);
    this.#options.log.error(
      `${lost} events were gone from the stream before they were read, and nobody is told of them`,
    );
  }
}
