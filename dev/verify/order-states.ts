import pg from "pg";
import { encodeId } from "#platform/id.ts";
import type { Stack } from "../stack/stack.ts";

/** An order as its row has it. */
export interface OrderState {
  readonly orderId: string;
  readonly status: string;
  readonly ended: boolean;
  /** The step that waits for an operator, and why; undefined when none does. */
  readonly parked: string | undefined;
  /** How it rests, for people who look for the cause. */
  readonly rest: string;
}

const endedStatuses = ["delivered", "rejected", "cancelled", "failed"];

interface Row {
  readonly id: string;
  readonly status: string;
  readonly parked: string | null;
  readonly rest: string;
}

/** How all orders stand. @throws when PostgreSQL does not answer */
export async function readStates(stack: Stack): Promise<OrderState[]> {
  const client = new pg.Client({
    connectionString: stack.databaseUrl("orders", "postgres"),
    connectionTimeoutMillis: 2_000,
    query_timeout: 5_000,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<Row>(
      `select order_id as id, status, parked_step || ': ' || coalesce(parked_error, '') as parked, concat_ws(', ', status,
        'in episode ' || episode_id, 'waits for ' || waits_for, 'parked at ' || parked_step,
        (select string_agg(kind || ' due ' || to_char(due_time, 'HH24:MI:SS'), ' ') from order_event e
          where e.order_id = o.order_id), saga->>'stage', saga->>'parcels') as rest
      from customer_order o`,
    );
    return rows.map(({ id, status, parked, rest }) => ({
      orderId: encodeId(id),
      status,
      ended: endedStatuses.includes(status),
      parked: parked ?? undefined,
      rest,
    }));
  } finally {
    await client.end().catch(() => undefined);
  }
}
