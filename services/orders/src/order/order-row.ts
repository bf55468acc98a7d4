import { selectList } from "#platform/database/columns.ts";
import { encodeId } from "#platform/id.ts";
import type {
  NewOrder,
  Order,
  OrderContact,
  OrderLine,
  OrderShipment,
  OrderStatus,
  ShipmentStatus,
  ShippingAddress,
} from "./order.ts";

/** A line as JSON: SKU, quantity, unit price; the price as text, because JSON has no 64-bit integers. */
export type LineJson = [sku: string, quantity: number, unitPrice: string];

/** The lines of `o` as {@link LineJson}. */
export const linesOf = `select json_agg(json_build_array(sku, quantity, unit_price::text) order by line_number) as lines
    from order_line where order_line.order_id = o.order_id`;

/** Reads the lines of `o` beside it, so that an order is one row. */
export const withLines = `cross join lateral (${linesOf}) l`;

/** A parcel as it is stored. */
export interface ShipmentJson {
  readonly locationId: string;
  readonly shipmentId: string;
  readonly status: ShipmentStatus;
  readonly currency: string;
  readonly amount: string;
  readonly trackingNumber: string;
}

/** A status that the order had, as it is stored; the time in milliseconds since 1970. */
export interface EventJson {
  readonly status: OrderStatus;
  readonly time: number;
}

/** An order as the workflow before episodes is started with it; ids are uuids. */
export interface SagaOrderRow {
  readonly orderId: string;
  readonly customerId: string;
  readonly currency: string;
  readonly total: bigint;
  readonly shippingAddress: ShippingAddress;
  readonly sagaId: string;
  readonly lines: LineJson[];
  readonly cardToken: string;
  readonly traceparent: string;
}

/** The columns of {@link SagaOrderRow}, from `o` and {@link withLines}. */
export const sagaOrderColumns = selectList<SagaOrderRow>(
  {
    orderId: true,
    customerId: true,
    currency: true,
    total: true,
    shippingAddress: true,
    sagaId: true,
    lines: "l.lines",
    cardToken: true,
    traceparent: true,
  },
  "o",
);

/** An order with its lines; ids are uuids. */
export interface OrderRow extends Omit<SagaOrderRow, "cardToken" | "traceparent">, OrderContact {
  readonly status: OrderStatus;
  readonly shipments: ShipmentJson[];
  readonly failureReason: string | null;
  readonly failureMessage: string | null;
  readonly history: EventJson[];
  readonly revision: number;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** The columns of {@link OrderRow}, from `o` and {@link withLines}. */
export const orderColumns = selectList<OrderRow>(
  {
    orderId: true,
    customerId: true,
    givenName: true,
    familyName: true,
    email: true,
    status: true,
    currency: true,
    total: true,
    shippingAddress: true,
    shipments: true,
    failureReason: true,
    failureMessage: true,
    history: true,
    revision: true,
    createTime: true,
    updateTime: true,
    sagaId: "coalesce(o.last_episode_id, o.saga_id)",
    lines: "l.lines",
  },
  "o",
);

/** The order of a row. */
export function toOrder(row: OrderRow): Order {
  return {
    orderId: encodeId(row.orderId),
    customerId: encodeId(row.customerId),
    contact: { givenName: row.givenName, familyName: row.familyName, email: row.email },
    status: row.status,
    lines: row.lines.map(toLine),
    total: { currency: row.currency, amount: row.total },
    shippingAddress: row.shippingAddress,
    sagaId: encodeId(row.sagaId),
    shipments: row.shipments.map(toShipment),
    failure:
      row.failureReason === null ? undefined : { reason: row.failureReason, customerMessage: row.failureMessage ?? "" },
    history: row.history.map(({ status, time }) => ({ status, time: new Date(time) })),
    revision: row.revision,
    createTime: row.createTime,
    updateTime: row.updateTime,
  };
}

/** What the saga of a row is started with. */
export function toNewOrder(row: SagaOrderRow): NewOrder {
  return {
    orderId: encodeId(row.orderId),
    customerId: encodeId(row.customerId),
    lines: row.lines.map(toLine),
    total: { currency: row.currency, amount: row.total },
    shippingAddress: row.shippingAddress,
    cardToken: row.cardToken,
    traceparent: row.traceparent,
  };
}

/** A line as {@link linesOf} reads it back. */
export function toLineJson({ sku, quantity, unitPrice }: OrderLine): LineJson {
  return [sku, quantity, String(unitPrice)];
}

/** A parcel as the column holds it. */
export function toShipmentJson({ amount, ...rest }: OrderShipment): ShipmentJson {
  return { ...rest, currency: amount.currency, amount: String(amount.amount) };
}

/** A line as the domain has it. */
export function toLine([sku, quantity, unitPrice]: LineJson): OrderLine {
  return { sku, quantity, unitPrice: BigInt(unitPrice) };
}

function toShipment({ currency, amount, ...rest }: ShipmentJson): OrderShipment {
  return { ...rest, amount: { currency, amount: BigInt(amount) } };
}
