import { type AuditOrigin, auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { Batcher } from "#platform/batch/batcher.ts";
import { writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { OrderError, orderNotFound, shortageDecided } from "../order/errors.ts";
import type { OrderRepository } from "../order/order.repository.ts";
import type { Order } from "../order/order.ts";
import { cutAction } from "../order/order-audit.ts";
import { restIdOf } from "../order/order-id.ts";
import { type LineJson, type RestJson, type ShortageJson, toLineJson, toShortageJson } from "../order/order-row.ts";
import { changeChannel } from "../order/order-transition.repository.ts";
import { type AdjustmentsJson, toPriceColumns } from "../order/price-row.ts";
import { cutOrder, isCutBy, type MissingLine, type OrderCut, type PricedLines } from "./order-cut.ts";

/** What of an order is missing, as inventory has decided. */
export interface CutOrder {
  readonly orderId: string;
  readonly missing: readonly MissingLine[];
}

type SubmittedCut = CutOrder & { readonly origin: AuditOrigin };

interface CutRow {
  /** Which entry of the batch it is. */
  readonly n: number;
  readonly id: string;
  readonly order_id: string;
  readonly total: string;
  readonly lines: readonly LineJson[];
  readonly adjustments: AdjustmentsJson | undefined | null;
  readonly line_amounts: readonly string[] | undefined | null;
  readonly shortage: Omit<ShortageJson, "time">;
}

const input = writtenColumns<CutRow>({
  n: "int",
  id: "text",
  order_id: "uuid",
  total: "bigint",
  lines: "jsonb",
  adjustments: "jsonb",
  line_amounts: "jsonb",
  shortage: "jsonb",
});

/**
 * Judged under the rows' locks: an order is cut once, while it is PENDING, and its lines do not change otherwise by then. Rows are locked in the
 * order of their ids; the input is sorted.
 */
const cut: SqlText = {
  name: "order_cut",
  prepared: false,
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(${input.typed})
  ), judged as materialized (
    select i.*, o.total as cost from input i cross join lateral (
      select status, total, shortage from customer_order where customer_order.order_id = i.order_id for no key update
    ) o where o.status = 'pending' and o.shortage is null
  ), cut as (
    update customer_order o set revision = o.revision + 1, update_time = greatest(now(), o.update_time),
      total = j.total, adjustments = j.adjustments, line_amounts = j.line_amounts,
      shortage = j.shortage || jsonb_build_object('time', floor(extract(epoch from now()) * 1000)::bigint)
    from judged j where o.order_id = j.order_id
    returning j.n, j.id, j.cost, o.order_id, o.currency, o.total, o.revision, j.lines
  ), lined as (
    insert into order_line (order_id, line_number, sku, quantity, unit_price)
    select order_id, line.n, line.value->>0, (line.value->>1)::int, (line.value->>2)::bigint
    from cut cross join lateral jsonb_array_elements(lines) with ordinality as line(value, n)
    on conflict (order_id, line_number) do update
    set sku = excluded.sku, quantity = excluded.quantity, unit_price = excluded.unit_price
  ), unlined as (
    delete from order_line using cut
    where order_line.order_id = cut.order_id and line_number > jsonb_array_length(cut.lines)
  ), audited as (${insertAuditEvents("$2", {
    join: "join cut on cut.n = a.n",
    details: `a.details || jsonb_build_object('currency', cut.currency, 'from', cut.cost::text, 'to', cut.total::text,
      'revision', cut.revision::text)`,
  })})
  select pg_notify('${changeChannel}', string_agg(id, ',')) from cut having count(*) > 0`,
};

/** Bounded by what one notification can name. */
const maxCuts = 256;

/** Takes out of orders what is missing of them, once: what arrives together is one statement. */
export class OrderCuts {
  readonly #database: Queryable;
  readonly #orders: Pick<OrderRepository, "find">;
  readonly #batcher: Batcher<SubmittedCut, Order>;

  constructor(database: Queryable, orders: Pick<OrderRepository, "find">) {
    this.#database = database;
    this.#orders = orders;
    this.#batcher = new Batcher({
      name: "order cuts",
      maxEntries: maxCuts,
      keyOf: ({ orderId }) => orderId,
      run: (cuts: SubmittedCut[]) => this.#cut(cuts),
    });
  }

  /** @returns the order without what is missing @throws ORDER_NOT_FOUND, SHORTAGE_DECIDED */
  cut(request: CutOrder, signal: AbortSignal): Promise<Order> {
    return this.#batcher.submit({ ...request, origin: auditOrigin() }, { signal });
  }

  /** Resolves once everything that was taken is durable. */
  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #cut(cuts: SubmittedCut[]): Promise<(Order | Error)[]> {
    const sorted = [...cuts].sort((a, b) => (a.orderId < b.orderId ? -1 : 1));
    const before = await this.#find(sorted);
    const due = sorted.flatMap((each) => {
      const made = cutOf(each, before.get(each.orderId));
      return made ? [{ ...each, made }] : [];
    });
    if (due.length === 0) return cuts.map((each) => outcomeOf(each, before.get(each.orderId)));
    const entries = due.map(({ orderId, origin }) => ({ action: cutAction, orderId, details: {}, origin }));
    await this.#database.query(cut, [JSON.stringify(due.map(toRow)), auditEvents(entries)]);
    // Somebody else may have been first, and has decided then.
    const after = await this.#find(sorted);
    return cuts.map((each) => outcomeOf(each, after.get(each.orderId)));
  }

  async #find(cuts: readonly CutOrder[]): Promise<Map<string, Order>> {
    const orders = await this.#orders.find(cuts.map(({ orderId }) => orderId));
    return new Map(orders.map((order) => [order.orderId, order]));
  }
}

/** What is to become of an order; undefined when nothing is. */
function cutOf({ missing }: CutOrder, order: Order | undefined): OrderCut | undefined {
  if (!order || order.shortage || order.status !== "pending") return undefined;
  try {
    return cutOrder(order, missing);
  } catch (error) {
    if (error instanceof OrderError) return undefined;
    throw error;
  }
}

function outcomeOf({ orderId, missing }: CutOrder, order: Order | undefined): Order | Error {
  if (!order) return orderNotFound(orderId);
  return order.shortage && isCutBy(order.shortage, missing) ? order : shortageDecided(orderId);
}

function toRow({ orderId, made: { kept, shortage, rest } }: CutOrder & { readonly made: OrderCut }, n: number): CutRow {
  const { adjustments, lineAmounts } = toPriceColumns(kept.prices);
  return {
    n,
    id: orderId,
    order_id: decodeId(orderId),
    total: String(kept.total),
    lines: kept.lines.map(toLineJson),
    adjustments,
    line_amounts: lineAmounts,
    shortage: { ...toShortageJson(shortage), ...(rest && { rest: toRestJson(orderId, rest) }) },
  };
}

function toRestJson(orderId: string, { lines, total, prices }: PricedLines): RestJson {
  const id = decodeId(restIdOf(orderId, Date.now()));
  return { id, total: String(total), lines: lines.map(toLineJson), ...toPriceColumns(prices) };
}
