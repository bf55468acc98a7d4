import { Gauge, type Registry } from "prom-client";
import { Relay } from "#platform/batch/relay.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { Logger } from "#platform/log/logger.ts";
import { awaitsStock } from "../order/back-order-state.ts";
import { eventIds } from "./order-event.ts";

/** What the watch works with. */
export interface BackOrderWatchOptions {
  readonly database: Queryable;
  readonly registry: Registry;
  readonly logger: Pick<Logger, "error">;
  /** How long an order waits for stock, at most, in milliseconds. */
  readonly maxMs: number;
  readonly everyMs: number;
  /** Told how many orders are to be carried. */
  readonly onAccepted: (count: number) => void;
}

/** Of one look. */
const batch = 100;

const waiting: SqlText = {
  name: "back_order_waiting",
  prepared: false,
  text: `select count(*)::int as orders, coalesce(extract(epoch from now() - min(back_order_time)), 0)::float8 as seconds
    from customer_order where ${awaitsStock}`,
};

/** It is carried once more, and does not want to wait any longer: see `episodeOrderColumns`. One whose event is there already is left out. */
const expire: SqlText = {
  name: "back_order_expire",
  prepared: false,
  text: `insert into order_event (order_id, event_id, kind)
    select order_id, '${eventIds.stock}', 'retry' from customer_order o
    where ${awaitsStock} and back_order_time < now() - $1 * interval '1 millisecond' and episode_id is null
      and not exists (select from order_event e where e.order_id = o.order_id)
    order by back_order_time, order_id limit $2
    on conflict do nothing returning order_id`,
};

/** Tells the metrics which orders wait for stock, and gives up those that have waited for too long. */
export function createBackOrderWatch(options: BackOrderWatchOptions): Relay {
  const { database, registry, logger, maxMs, everyMs, onAccepted } = options;
  const registers = [registry];
  const orders = new Gauge({ name: "orders_back_ordered", help: "Orders that wait for stock.", registers });
  const oldest = new Gauge({
    name: "orders_oldest_back_order_seconds",
    help: "How long the oldest order has waited for stock; 0 when none does.",
    registers,
  });
  const sweep = async () => {
    const late = await database.query(expire, [maxMs, batch]);
    if (late.length > 0) onAccepted(late.length);
    const [now] = await database.query<{ orders: number; seconds: number }>(waiting);
    orders.set(now?.orders ?? 0);
    oldest.set(now?.seconds ?? 0);
    return late.length;
  };
  return new Relay({ name: "watching back-orders", everyMs, log: logger, sweep });
}
