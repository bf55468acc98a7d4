import { insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { type ColumnsOf, selectList, writtenColumns } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import type { Draft, Notification, NotificationStatus, OutboxBacklog } from "../notification/notification.ts";
import { effects } from "../proof/notification-audit.ts";

/** Whose event it is. Ids as text. */
export interface Whose {
  readonly eventId: string;
  readonly orderId: string;
  readonly customerId: string;
}

/** A notification that somebody sends now. */
export interface Claimed extends Notification {
  /** When it is not tried any more. */
  readonly giveUpTime: Date;
}

/** What became of an attempt. */
export interface Outcome {
  readonly status: NotificationStatus;
  /** See the contract; empty for one that is sent. */
  readonly reason: string;
  /** Until the next attempt, of one that is pending, in milliseconds. */
  readonly pauseMs?: number;
}

/** Which notifications. */
export interface ListedNotifications {
  readonly customerId: string;
  readonly orderId: string;
  readonly status: NotificationStatus | "";
  readonly after: string | undefined;
  readonly limit: number;
}

const columns = selectList<Notification>(
  {
    notificationId: true,
    eventId: true,
    channel: true,
    kind: true,
    orderId: true,
    customerId: true,
    about: true,
    facts: true,
    status: true,
    reason: true,
    attempts: true,
    nextTime: true,
    createTime: true,
    endTime: true,
  },
  "n",
);

type PlannedRow = ColumnsOf<Pick<Notification, "notificationId" | "kind" | "about" | "facts">>;

const planned = writtenColumns<PlannedRow>({ notification_id: "uuid", kind: "text", about: "text", facts: "jsonb" });

/** Each of what there is to be told once, unless the customer is forgotten, with that it is decided. */
const plan: SqlText = {
  name: "plan-notifications",
  text: `with closed as (
      update inbox_event set plan_time = now() where event_id = $2 and plan_time is null
    )
    insert into notification (${planned.names}, event_id, channel, order_id, customer_id, give_up_time)
    select ${planned.names}, $2, 'mail', $3, $4, now() + $5::float8 * interval '1 millisecond'
    from json_to_recordset($1::json) as d(${planned.typed})
    where not exists (select from recipient where customer_id = $4 and erase_time is not null)
    order by notification_id
    on conflict on constraint notification_once_key do nothing returning kind`,
};

/**
 * Takes what is due, for a while. Of each order only the first that is not sent: a customer hears of things in the order in which they
 * happened.
 */
const claim: SqlText = {
  name: "claim-notifications",
  text: `with due as (
      select n.notification_id from notification n where n.status = 'pending' and n.next_time <= now()
        and not exists (select from notification e
          where e.order_id = n.order_id and e.status = 'pending' and e.notification_id < n.notification_id)
      order by n.next_time limit $1 for update skip locked
    )
    update notification n set attempts = n.attempts + 1, next_time = now() + $2::float8 * interval '1 millisecond'
    from due where n.notification_id = due.notification_id returning ${columns}, n.give_up_time as "giveUpTime"`,
};

/** Only what is still the attempt's own: who was frozen for longer than he had it changes nothing. */
const settle: SqlText = {
  name: "settle-notification",
  text: `update notification set status = $3, reason = $4,
      next_time = now() + $5::float8 * interval '1 millisecond',
      end_time = case when $3 = 'pending' then null else now() end
    where notification_id = $1 and attempts = $2 and status = 'pending' returning 1`,
};

const list: SqlText = {
  name: "list-notifications",
  prepared: false,
  text: `select ${columns} from notification n
    where ($1::uuid is null or n.customer_id = $1) and ($2::uuid is null or n.order_id = $2)
      and ($3 = '' or n.status = $3) and ($4::uuid is null or n.notification_id < $4)
    order by n.notification_id desc limit $5`,
};

const retry: SqlText = {
  name: "retry-notifications",
  text: `with retried as (
      update notification n set status = 'pending', reason = '', attempts = 0, end_time = null, next_time = now(),
        give_up_time = now() + $2::float8 * interval '1 millisecond'
      where n.notification_id = any($1::uuid[]) and n.status = 'failed' returning n.*
    ), audited as (
      ${insertAuditEvents("$3", { join: "join retried r on r.notification_id = ($1::uuid[])[a.n + 1]" })}
    )
    select ${columns} from retried n order by n.notification_id`,
};

const backlog: SqlText = {
  name: "count-notifications",
  text: `select count(*) filter (where status = 'pending')::int as pending,
      coalesce(extract(epoch from now() - min(create_time) filter (where status = 'pending')), 0)::float8 as "ageSeconds",
      count(*) filter (where status = 'failed')::int as failed
    from notification where status in ('pending', 'failed')`,
};

const forget: SqlText = {
  name: "forget-notifications",
  text: `delete from notification where ctid = any(array(
    select ctid from notification where end_time < now() - $1 * interval '1 day' order by end_time limit $2)) returning 1`,
};

function toNotification<Row extends Notification>(row: Row): Row {
  return {
    ...row,
    notificationId: encodeId(row.notificationId),
    eventId: encodeId(row.eventId),
    orderId: encodeId(row.orderId),
    customerId: encodeId(row.customerId),
  };
}

function orNull(id: string | undefined): string | null {
  return id ? decodeId(id) : null;
}

/** Keeps what customers are told, and what became of it. */
export class NotificationRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Writes down what is to be told because of an event, and that this is decided; returns what was not known. */
  async plan(whose: Whose, drafts: readonly Draft[], budgetMs: number): Promise<Pick<Draft, "kind">[]> {
    const rows = drafts.map(({ kind, about, facts }, index): PlannedRow => {
      return { notification_id: decodeId(newId(index)), kind, about, facts };
    });
    const ids = [whose.eventId, whose.orderId, whose.customerId].map(decodeId);
    return await this.#database.query(plan, [JSON.stringify(rows), ...ids, budgetMs]);
  }

  /** Takes up to so many that are due; nobody else does for so long. */
  async claim(limit: number, leaseMs: number): Promise<Claimed[]> {
    return (await this.#database.query<Claimed>(claim, [limit, leaseMs])).map(toNotification);
  }

  /** Notes what became of an attempt; returns whether it was still this one's. */
  async settle({ notificationId, attempts }: Claimed, { status, reason, pauseMs = 0 }: Outcome): Promise<boolean> {
    const values = [decodeId(notificationId), attempts, status, reason, pauseMs];
    return (await this.#database.query(settle, values)).length > 0;
  }

  /** At most `limit` notifications, the newest first, older than `after`. */
  async list({ customerId, orderId, status, after, limit }: ListedNotifications): Promise<Notification[]> {
    const values = [orNull(customerId), orNull(orderId), status, orNull(after), limit];
    return (await this.#database.query<Notification>(list, values)).map(toNotification);
  }

  /** Has those that failed sent again; returns these. */
  async retry(ids: readonly string[], budgetMs: number): Promise<Notification[]> {
    const each = [...new Set(ids)];
    const events = effects(...each.map((subject) => ({ action: "notification.retried", subject }) as const));
    const rows = await this.#database.query<Notification>(retry, [each.map(decodeId), budgetMs, events]);
    return rows.map(toNotification);
  }

  async backlog(): Promise<OutboxBacklog> {
    const [row] = await this.#database.query<OutboxBacklog>(backlog);
    return row ?? { pending: 0, ageSeconds: 0, failed: 0 };
  }

  /** Forgets what ended so many days ago; returns how many, at most `limit`. */
  async forget(days: number, limit: number): Promise<number> {
    return (await this.#database.query(forget, [days, limit])).length;
  }
}
