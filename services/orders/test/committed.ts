import type { Database } from "#platform/database/database.ts";
import { encodeId } from "#platform/id.ts";

/** What the database says about an order's saga. */
export interface OutboxRow {
  order_id: string;
  saga_id: string;
  dispatched: boolean;
  card_token: string | null;
}

/** All orders, with what is noted about their sagas. */
export function outbox(database: Database): Promise<OutboxRow[]> {
  return database.query(
    "select order_id, saga_id, dispatch_time is not null as dispatched, card_token from customer_order",
  );
}

/** The orders that every saga was committed with, in their order. */
export function committed(rows: OutboxRow[]): Map<string, string[]> {
  const batches = new Map<string, string[]>();
  for (const row of rows.toSorted((a, b) => (a.order_id < b.order_id ? -1 : 1))) {
    const sagaId = encodeId(row.saga_id);
    batches.set(sagaId, [...(batches.get(sagaId) ?? []), encodeId(row.order_id)]);
  }
  return batches;
}
