import { Batcher } from "#platform/batch/batcher.ts";
import { writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { orderNotFound } from "../order/errors.ts";
import { deleteAction } from "../order/order-audit.ts";
import { eventIds, type ShipmentDetail } from "./order-event.ts";

/** What became of a shipment of an order. */
export interface ShipmentReport extends ShipmentDetail {
  readonly orderId: string;
}

interface ReportRow {
  /** Which entry of the batch it is. */
  readonly n: number;
  readonly order_id: string;
  readonly event_id: string;
  readonly detail: ShipmentDetail;
}

const input = writtenColumns<ReportRow>({ n: "int", order_id: "uuid", event_id: "text", detail: "jsonb" });

/**
 * The same report is one event until an episode takes it. Events are inserted in one order, so that batches cannot lock up. What comes
 * late of an order that was deleted is taken, and forgotten.
 */
const insert: SqlText = {
  name: "shipment_report_insert",
  text: `with known as materialized (
    select i.*, o.* from json_to_recordset($1::json) as i(${input.typed}) cross join lateral (
      select saga_id = customer_order.order_id as carried from customer_order
      where customer_order.order_id = i.order_id
      union all
      select false from audit_event where audit_event.order_id = i.order_id and action = '${deleteAction}'
      limit 1
    ) o
  ), happened as (
    insert into order_event (order_id, event_id, kind, detail)
    select order_id, event_id, 'shipment', detail from known where carried order by order_id, event_id
    on conflict do nothing
  )
  select n from known`,
};

/** What reports work with. */
export interface ShipmentReportsOptions {
  readonly database: Queryable;
  /** Told how many events were accepted. */
  readonly onAccepted: (count: number) => void;
}

/** Takes what became of shipments as events of their orders: what arrives together is one statement. */
export class ShipmentReports {
  readonly #options: ShipmentReportsOptions;
  readonly #batcher: Batcher<ShipmentReport, undefined>;

  constructor(options: ShipmentReportsOptions) {
    this.#options = options;
    this.#batcher = new Batcher({
      name: "shipment reports",
      run: (reports: ShipmentReport[]) => this.#insert(reports),
    });
  }

  /** @throws ORDER_NOT_FOUND */
  async report(report: ShipmentReport, signal: AbortSignal): Promise<void> {
    await this.#batcher.submit(report, { signal });
  }

  /** Resolves once everything that was taken is durable. */
  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #insert(reports: ShipmentReport[]): Promise<(undefined | Error)[]> {
    const { database, onAccepted } = this.#options;
    const rows = await database.query<{ n: number }>(insert, [JSON.stringify(reports.map(toRow))]);
    const known = new Set(rows.map(({ n }) => n));
    if (known.size > 0) onAccepted(known.size);
    return reports.map(({ orderId }, n) => (known.has(n) ? undefined : orderNotFound(orderId)));
  }
}

function toRow({ orderId, ...detail }: ShipmentReport, n: number): ReportRow {
  return { n, order_id: decodeId(orderId), event_id: eventIds.shipment(detail), detail };
}
