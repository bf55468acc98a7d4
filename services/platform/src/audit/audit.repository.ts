import type { Database } from "#platform/database/database.ts";
import { decodeId } from "#platform/id.ts";
import { auditEvents, auditOrigin, harmless, insertAuditEvents } from "./audit-entry.ts";
import { type AuditEvent, type AuditEventRow, auditColumns, toAuditEvent } from "./audit-event.ts";
import { busiestActor } from "./audit-table.ts";

/** Which events; what is not given does not matter. */
export interface AuditFilter {
  readonly orderId?: string | undefined;
  readonly subject?: string | undefined;
  readonly action?: string | undefined;
  readonly actor?: string | undefined;
  /** At or after. */
  readonly from?: Date | undefined;
  /** Before. */
  readonly until?: Date | undefined;
}

/** How much of a list: what comes after an event, which is the last of the page before. */
export interface AuditPage {
  readonly limit: number;
  readonly after?: { readonly time: Date; readonly eventId: string } | undefined;
}

/** What one publication took. */
export interface Published {
  readonly events: readonly AuditEvent[];
  /** The cursor was that of another server, so that everything is published once more. */
  readonly begunAnew: boolean;
}

/** One publication at a time in each database. Any number, the same in every process. */
const lockKey = 7_203_117;

/**
 * What every transaction has committed or given up that could come before: in the order of transactions nothing can be
 * added here any more. A transaction that began after another had committed comes after it.
 */
const unpublished = `select ${auditColumns} from audit_event
  where (transaction, event_id) > ($1::xid8, $2::uuid) and transaction < pg_snapshot_xmin(pg_current_snapshot())
  order by transaction, event_id limit $3`;

/** Whether the cursor is that of another server, whose transactions went further. */
const ahead = "transaction >= pg_snapshot_xmax(pg_current_snapshot())";

const oldestUnpublished = {
  name: "audit-oldest-unpublished",
  text: `select extract(epoch from now() - e.time)::float8 as age from audit_cursor c
    cross join lateral (
      select time from audit_event
      where (transaction, event_id) > (case when c.${ahead} then '0' else c.transaction end, c.event_id)
      order by transaction, event_id limit 1
    ) e`,
};

interface CursorRow {
  transaction: string;
  event_id: string;
  ahead: boolean;
}

const lock = `select pg_try_advisory_xact_lock(${lockKey}) as locked`;

/** A statement of its own, behind the lock: one that takes the lock may see the cursor as it was before. */
const readCursor = `select transaction, event_id, ${ahead} as ahead from audit_cursor`;

const first = { transaction: "0", event_id: "00000000-0000-0000-0000-000000000000" };

const insertRead = { name: "audit-read", text: insertAuditEvents("$1") };

/** Reads the audit log of one service. Writing it is part of the statements that have the effects, but for that it was read. */
export class AuditRepository {
  readonly #database: Pick<Database, "query" | "transaction">;

  constructor(database: Pick<Database, "query" | "transaction">) {
    this.#database = database;
  }

  /** At most `limit` events, the newest first. */
  async list(filter: AuditFilter, page: AuditPage): Promise<AuditEvent[]> {
    const { text, values } = auditListStatement(filter, page);
    return (await this.#database.query<AuditEventRow>(text, values)).map(toAuditEvent);
  }

  /** Writes down that whoever calls has read so many events of those that he asked for. */
  async noteRead({ orderId, subject, action, actor, from, until }: AuditFilter, events: number): Promise<void> {
    const texts = { order_id: orderId, subject, action, actor };
    const asked = { ...texts, from: from?.toISOString(), until: until?.toISOString(), events: String(events) };
    const said = Object.entries(asked).flatMap(([name, text]) => (text ? [[name, harmless(text)]] : []));
    // Not of the order that was asked for: its rows are what was done with it.
    const entry = { action: "audit.read", details: Object.fromEntries(said), origin: auditOrigin() };
    await this.#database.query(insertRead, [auditEvents([entry])]);
  }

  /**
   * Hands on what follows the cursor, at most `limit` events, and moves the cursor when `publish` has succeeded. What fails
   * or is cut off before is published again. Returns nothing while another process publishes.
   */
  publish(limit: number, publish: (events: readonly AuditEvent[]) => Promise<void>): Promise<Published> {
    return this.#database.transaction(async (tx) => {
      // The lock takes no transaction id: one would be older than what is committed meanwhile, and hold that back.
      const [attempt] = await tx.query<{ locked: boolean }>(lock);
      const [cursor] = attempt?.locked ? await tx.query<CursorRow>(readCursor) : [];
      if (!cursor) return { events: [], begunAnew: false };
      const { transaction, event_id } = cursor.ahead ? first : cursor;
      const rows = await tx.query<AuditEventRow>(unpublished, [transaction, event_id, limit]);
      const last = rows.at(-1);
      if (!last) return { events: [], begunAnew: false };
      const events = rows.map(toAuditEvent);
      await publish(events);
      const move = "update audit_cursor set transaction = $1::xid8, event_id = $2::uuid, update_time = now()";
      await tx.commitWith(move, [last.transaction, last.event_id]);
      return { events, begunAnew: cursor.ahead };
    });
  }

  /** Seconds since the oldest event that is not published; undefined when there is none. */
  async lagSeconds(): Promise<number | undefined> {
    const [row] = await this.#database.query<{ age: number }>(oldestUnpublished);
    return row && Math.max(0, row.age);
  }
}

/** The text of a list and its values. Not prepared: a plan that was made while the log was small would read all of it. */
export function auditListStatement(filter: AuditFilter, page: AuditPage): { text: string; values: unknown[] } {
  const values: unknown[] = [];
  const conditions: string[] = [];
  const add = (condition: (parameter: string) => string, value: unknown): void => {
    if (value !== undefined) conditions.push(condition(`$${values.push(value)}`));
  };
  add((id) => `order_id = ${id}::uuid`, filter.orderId === undefined ? undefined : decodeId(filter.orderId));
  // Where there is a second condition, it says which part of the table the index has.
  add((subject) => `subject = ${subject} and subject <> ''`, filter.subject);
  add((action) => `action = ${action}`, filter.action);
  add(
    (actor) => `actor = ${actor}${filter.actor === busiestActor ? "" : ` and actor <> '${busiestActor}'`}`,
    filter.actor,
  );
  add((time) => `time >= ${time}::timestamptz`, filter.from);
  add((time) => `time < ${time}::timestamptz`, filter.until);
  if (page.after) {
    const { time, eventId } = page.after;
    // Compared as a row, so that an index goes straight to the place.
    conditions.push(
      `(time, event_id) < ($${values.push(time)}::timestamptz, $${values.push(decodeId(eventId))}::uuid)`,
    );
  }
  const where = conditions.length > 0 ? `where ${conditions.join(" and ")}` : "";
  // biome-ignore lint/plugin/sql: the conditions are those above, with parameters
  const text = `select ${auditColumns} from audit_event ${where} order by time desc, event_id desc
    limit $${values.push(page.limit)}`;
  return { text, values };
}
