import { selectList } from "#platform/database/columns.ts";
import { encodeId } from "#platform/id.ts";
import type { OrderStatus, ShippingAddress } from "../order/order.ts";
import { type LineJson, linesOf, toLine } from "../order/order-row.ts";
import type { Episode, EpisodeOrder } from "./episode.ts";
import type { CarriedEvent } from "./order-event.ts";

/** The statuses in which the shipments of an order may have to be created yet. */
const checkoutStatuses = ["pending", "confirmed"] as const satisfies readonly OrderStatus[];

/** An order as its episode is started with it; ids are uuids. */
export interface EpisodeOrderRow {
  readonly orderId: string;
  readonly customerId: string;
  readonly currency: string;
  readonly total: bigint;
  readonly createTime: Date;
  readonly ageMs: number;
  readonly traceparent: string;
  readonly saga: string | null;
  readonly episodeEvents: CarriedEvent[];
  readonly confirmed: boolean;
  /** Null once the shipments are created. */
  readonly lines: LineJson[] | null;
  readonly shippingAddress: ShippingAddress;
  readonly cardToken: string | null;
}

/** Of `o`, which is a row of `customer_order`, whether a checkout may be ahead of it. */
const inCheckout = `o.status in (${checkoutStatuses.map((status) => `'${status}'`).join(", ")})`;

/** The columns of {@link EpisodeOrderRow}, from `o`. */
export const episodeOrderColumns = selectList<EpisodeOrderRow>(
  {
    orderId: true,
    customerId: true,
    currency: true,
    total: true,
    createTime: true,
    ageMs: "(extract(epoch from now() - o.create_time) * 1000)::float8",
    traceparent: true,
    saga: "o.saga::text",
    episodeEvents: true,
    confirmed: `o.history @> '[{"status": "confirmed"}]'`,
    lines: `case when ${inCheckout} then (${linesOf}) end`,
    shippingAddress: true,
    cardToken: true,
  },
  "o",
);

/** How many bytes `o` adds to the start of an episode, roughly: texts, and what stands around them. */
export const episodeOrderBytes = `512 + coalesce(octet_length(o.saga::text), 0) + case when ${inCheckout} then
    octet_length(o.shipping_address::text) + 96 * (select count(*) from order_line where order_line.order_id = o.order_id)
  else 0 end`;

/** An episode and the orders that it carries still. */
export function toEpisode(episodeId: string, rows: readonly EpisodeOrderRow[]): Episode {
  return { episodeId, orders: rows.map(toEpisodeOrder) };
}

function toEpisodeOrder(row: EpisodeOrderRow): EpisodeOrder {
  return {
    orderId: encodeId(row.orderId),
    customerId: encodeId(row.customerId),
    total: { currency: row.currency, amount: row.total },
    createTime: row.createTime,
    ageMs: row.ageMs,
    traceparent: row.traceparent,
    saga: row.saga ?? "",
    events: row.episodeEvents,
    confirmed: row.confirmed,
    checkout: row.lines
      ? { lines: row.lines.map(toLine), shippingAddress: row.shippingAddress, cardToken: row.cardToken ?? "" }
      : undefined,
  };
}
