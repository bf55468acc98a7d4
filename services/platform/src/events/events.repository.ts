import { setTimeout as pause } from "node:timers/promises";
import { type AuditEvent, type AuditEventRow, auditColumns, toAuditEvent } from "#platform/audit/audit-event.ts";
import type { Database } from "#platform/database/database.ts";

/** Hands on events and says how many of them, from the first one on, have arrived; throws when nothing did. */
export type Deliver = (events: readonly AuditEvent[]) => Promise<Delivered>;

/** How far a delivery has come. */
export interface Delivered {
  /** So many events, from the first one on, have arrived. */
  readonly arrived: number;
  /** Why the rest has not. */
  readonly error?: unknown;
}

/** One process tells at a time, of each database. Any number, the same in every process, and another one than the audit stream's. */
const lockKey = 7_203_118;

const lock = `select pg_try_advisory_xact_lock(${lockKey}) as locked`;

/** What has a number by now, whether its transaction is over or not. */
const readLast = `select c.sequence, case when s.is_called then s.last_value else 0 end as last
  from event_cursor c cross join audit_event_sequence s`;

/** A transaction of its own that does nothing: whatever has drawn a number before it has a lower one, or the same. */
const readTransaction = "select pg_current_xact_id()::text as transaction";

/** Whether all are over that had begun to write by then; `elsewhere`: it is the number of another server, which this one has not reached. */
const isSettled = `select $1::xid8 < pg_snapshot_xmin(s) as settled, $1::xid8 >= pg_snapshot_xmax(s) as elsewhere
  from pg_current_snapshot() s`;

/** The pauses before each look whether they are, in milliseconds; later ones are the next sweep's. */
const looks = [0, 5, 15, 50] as const;

const readCursor = "select sequence from event_cursor";

const untold = `select sequence, ${auditColumns} from audit_event where sequence > $1 and sequence <= $2
  order by sequence limit $3`;

const moveCursor = "update event_cursor set sequence = $1, update_time = now()";

const oldestUntold = `select extract(epoch from now() - e.time)::float8 as age from event_cursor c
  cross join lateral (select time from audit_event where sequence > c.sequence order by sequence limit 1) e`;

/** Up to which number all rows are written or given up, once the transactions before are over. */
interface Bound {
  readonly sequence: bigint;
  readonly transaction: string;
  readonly isSettled: boolean;
}

interface NumberedRow extends AuditEventRow {
  readonly sequence: bigint;
}

/**
 * Reads the audit log of one service in the order of its numbers. Rows become visible in another order: what has a lower number may be
 * committed later. So a number is noted as the bound, and nothing is read before every transaction is over that might have a lower one. It
 * keeps the bound, not its events, and so takes as much memory for a long backlog as for a short one.
 */
export class EventsRepository {
  readonly #database: Pick<Database, "query" | "transaction">;
  #bound: Bound | undefined;

  constructor(database: Pick<Database, "query" | "transaction">) {
    this.#database = database;
  }

  /**
   * Hands on what follows the cursor, at most `limit` events, and moves the cursor behind those that arrived. What is cut off between the
   * two is handed on again. Returns how many were handed on: none while another process does so.
   *
   * @throws what the delivery failed with, after the cursor was moved behind what arrived before
   */
  async relay(limit: number, deliver: Deliver): Promise<number> {
    try {
      const bound = await this.#settledBound();
      return bound === undefined ? 0 : await this.#relayUntil(bound, limit, deliver);
    } catch (error) {
      // It may be another server after a connection is lost.
      this.#bound = undefined;
      throw error;
    }
  }

  /** Seconds since the oldest event of which nobody is told yet; 0 when there is none. */
  async lagSeconds(): Promise<number> {
    const [row] = await this.#database.query<{ age: number }>(oldestUntold);
    return Math.max(0, row?.age ?? 0);
  }

  async #settledBound(): Promise<bigint | undefined> {
    const [read] = await this.#database.query<{ sequence: bigint; last: bigint }>(readLast);
    if (!read || read.last <= read.sequence) {
      this.#bound = undefined;
      return undefined;
    }
    if (this.#bound === undefined || this.#bound.sequence <= read.sequence) this.#bound = await this.#note(read.last);
    if (!this.#bound.isSettled) this.#bound = await this.#settle(this.#bound);
    return this.#bound?.isSettled ? this.#bound.sequence : undefined;
  }

  /** Looks a few times: transactions are short. Undefined for the number of another server. */
  async #settle(bound: Bound): Promise<Bound | undefined> {
    for (const pauseMs of looks) {
      await pause(pauseMs);
      const [seen] = await this.#database.query<{ settled: boolean; elsewhere: boolean }>(isSettled, [
        bound.transaction,
      ]);
      if (seen?.elsewhere) return undefined;
      if (seen?.settled) return { ...bound, isSettled: true };
    }
    return bound;
  }

  async #note(sequence: bigint): Promise<Bound> {
    const [row] = await this.#database.query<{ transaction: string }>(readTransaction);
    if (!row) throw new Error("the database did not say the number of a transaction");
    return { sequence, transaction: row.transaction, isSettled: false };
  }

  async #relayUntil(bound: bigint, limit: number, deliver: Deliver): Promise<number> {
    const { count, error } = await this.#database.transaction(async (tx) => {
      // The lock takes no transaction id: one would be older than what is committed meanwhile, and hold that back.
      const [attempt] = await tx.query<{ locked: boolean }>(lock);
      // Behind the lock, in a statement of its own: the one that takes it may see the cursor as it was before.
      const [cursor] = attempt?.locked ? await tx.query<{ sequence: bigint }>(readCursor) : [];
      if (!cursor || cursor.sequence >= bound) return { count: 0 };
      const rows = await tx.query<NumberedRow>(untold, [cursor.sequence, bound, limit]);
      const { arrived, error } = rows.length > 0 ? await deliver(rows.map(toAuditEvent)) : { arrived: 0 };
      // Up to the bound there is nothing behind a list that is not full.
      const isAll = arrived === rows.length;
      const last = isAll && rows.length < limit ? bound : rows[arrived - 1]?.sequence;
      if (last !== undefined) await tx.commitWith(moveCursor, [last]);
      return { count: arrived, error };
    });
    if (error !== undefined) throw error;
    return count;
  }
}
