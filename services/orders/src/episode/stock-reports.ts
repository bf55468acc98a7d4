import { Batcher } from "#platform/batch/batcher.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { awaitsStock } from "../order/back-order-state.ts";
import { orderNotFound } from "../order/errors.ts";
import { deleteAction } from "../order/order-audit.ts";
import { changeChannel } from "../order/order-transition.repository.ts";
import { eventIds } from "./order-event.ts";

/**
 * That stock is set aside is an event like the end of a pause: the saga asks inventory again, and is told what. From now on the
 * checkout has the time that any other has. Rows are locked in the order of their ids; the same report is one event until an episode
 * takes it. An order that is not pending any more has nothing to do with it: its reservation is confirmed, or is being released.
 */
const insert: SqlText = {
  name: "stock_report_insert",
  text: `with known as materialized (
    select i.n, i.order_id, o.pending, o.waits from json_to_recordset($1::json) as i(n int, order_id uuid)
    cross join lateral (
      select status = 'pending' and saga_id = customer_order.order_id as pending, ${awaitsStock} as waits
      from customer_order where customer_order.order_id = i.order_id for no key update
    ) o
  ), happened as (
    insert into order_event (order_id, event_id, kind)
    select distinct order_id, '${eventIds.stock}', 'retry' from known where pending order by order_id
    on conflict do nothing
  ), told as (
    update customer_order o set stock_time = now(), revision = o.revision + 1,
      update_time = greatest(now(), o.update_time)
    from (select distinct order_id from known where waits) k where o.order_id = k.order_id
    returning o.order_id
  ), announced as (
    select pg_notify('${changeChannel}', string_agg(i.id, ',')) from told
    join json_to_recordset($1::json) as i(id text, order_id uuid) using (order_id) having count(*) > 0
  )
  select n, pending, (select count(*) from announced) as announcements from known
  union all
  select i.n, false, 0 from json_to_recordset($1::json) as i(n int, order_id uuid) cross join lateral (
    select from audit_event where audit_event.order_id = i.order_id and action = '${deleteAction}' limit 1
  ) deleted`,
};

/** What reports work with. */
export interface StockReportsOptions {
  readonly database: Queryable;
  /** Told how many events were accepted. */
  readonly onAccepted: (count: number) => void;
}

/** Takes that stock is set aside for orders that waited for it: what arrives together is one statement. */
export class StockReports {
  readonly #options: StockReportsOptions;
  readonly #batcher: Batcher<string, undefined>;

  constructor(options: StockReportsOptions) {
    this.#options = options;
    this.#batcher = new Batcher({
      name: "stock reports",
      keyOf: (orderId) => orderId,
      run: (orderIds: string[]) => this.#insert(orderIds),
    });
  }

  /** @throws ORDER_NOT_FOUND */
  async report(orderId: string, signal: AbortSignal): Promise<void> {
    await this.#batcher.submit(orderId, { signal });
  }

  /** Resolves once everything that was taken is durable. */
  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #insert(orderIds: string[]): Promise<(undefined | Error)[]> {
    const { database, onAccepted } = this.#options;
    const sorted = orderIds.map((id, n) => ({ n, id, order_id: decodeId(id) }));
    sorted.sort((a, b) => (a.order_id < b.order_id ? -1 : 1));
    const rows = await database.query<{ n: number; pending: boolean }>(insert, [JSON.stringify(sorted)]);
    const known = new Set(rows.map(({ n }) => n));
    const accepted = rows.filter(({ pending }) => pending).length;
    if (accepted > 0) onAccepted(accepted);
    return orderIds.map((orderId, n) => (known.has(n) ? undefined : orderNotFound(orderId)));
  }
}
