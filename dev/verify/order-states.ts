import pg from "pg";
import { encodeId } from "#platform/id.ts";
import type { Stack } from "../stack/stack.ts";

/** An order as its row has it. */
export interface OrderState {
  readonly orderId: string;
  readonly status: string;
  readonly ended: boolean;
  /** Whether it is what was missing of another one, or sent in exchange for what came back of it, which nobody has placed. */
  readonly isRest: boolean;
  /** The step that waits for an operator, and why; undefined when none does. */
  readonly parked: string | undefined;
  /** How it rests, for people who look for the cause. */
  readonly rest: string;
  /** Whether it was cancelled when parcels of it had left. */
  readonly recalled: boolean;
  /** Whether anything of it came back, or is to. */
  readonly returned: boolean;
}

const endedStatuses = ["delivered", "rejected", "cancelled", "failed"];

interface Row {
  readonly id: string;
  readonly status: string;
  readonly is_rest: boolean;
  readonly parked: string | null;
  readonly rest: string;
  readonly recalled: boolean;
  readonly returned: boolean;
}

/** How far the orders have come, without each of them. */
export interface Progress {
  /** How many stand how: `12 delivered, 3 rejected`. */
  readonly summary: string;
  /** With what is to come back of orders that have ended, and amendments that are not decided. */
  readonly underWay: number;
  /** What the orders that need an operator need one for. */
  readonly parked: ReadonlyMap<string, string>;
}

const parkedText = "parked_step || ': ' || coalesce(parked_error, '')";

/** How all orders stand. @throws when PostgreSQL does not answer */
export async function readStates(stack: Stack): Promise<OrderState[]> {
  const rows = await ask<Row>(
    stack,
    `select order_id as id, status, rest_of is not null or exchange is not null as is_rest, ${parkedText} as parked, concat_ws(', ', status,
      'in episode ' || episode_id, 'waits for ' || waits_for, 'parked at ' || parked_step,
      (select string_agg(kind || ' due ' || to_char(due_time, 'HH24:MI:SS'), ' ') from order_event e
        where e.order_id = o.order_id), saga->>'stage', saga->>'parcels') as rest,
      recall is not null as recalled, exists (select from order_return r where r.order_id = o.order_id) as returned
    from customer_order o`,
    patience.eachMs,
  );
  return rows.map(({ id, status, is_rest: isRest, parked, ...row }) => ({
    ...row,
    orderId: encodeId(id),
    status,
    isRest,
    ended: endedStatuses.includes(status),
    parked: parked ?? undefined,
  }));
}

/** How all orders stand together. @throws when PostgreSQL does not answer */
export async function readProgress(stack: Stack): Promise<Progress> {
  const rows = await ask<{ status: string; count: number; parked: Record<string, string> | null }>(
    stack,
    `select status, count(*)::int as count,
      json_object_agg(order_id, ${parkedText}) filter (where parked_step is not null) as parked
    from customer_order group by status
    union all select 'to come back', count(*)::int, null from order_return where status = 'received' having count(*) > 0
    union all select 'to be amended', count(*)::int, null from order_amendment having count(*) > 0
    order by count desc`,
    patience.progressMs,
  );
  const parked = rows.flatMap((row) => Object.entries(row.parked ?? {}));
  return {
    summary: rows.map(({ status, count }) => `${count} ${status}`).join(", ") || "none",
    underWay: rows.reduce((sum, { status, count }) => sum + (endedStatuses.includes(status) ? 0 : count), 0),
    parked: new Map(parked.map(([id, what]) => [encodeId(id), what])),
  };
}

/** How long PostgreSQL may take to answer; each order of a long campaign is read once, in the end. Milliseconds. */
const patience = { progressMs: 5_000, eachMs: 60_000 };

async function ask<R extends pg.QueryResultRow>(stack: Stack, text: string, timeoutMs: number): Promise<R[]> {
  const client = new pg.Client({
    connectionString: stack.databaseUrl("orders", "postgres"),
    connectionTimeoutMillis: 2_000,
    query_timeout: timeoutMs,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query<R>(text)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}
