import { encodeId } from "#platform/id.ts";
import type {
  NewOrder,
  Order,
  OrderLine,
  OrderShipment,
  OrderStatus,
  ShipmentStatus,
  ShippingAddress,
} from "./order.ts";

/** Reads the lines of `o` beside it, so that an order is one row. */
export const withLines = `cross join lateral (
    select json_agg(json_build_array(sku, quantity, unit_price::text) order by line_number) as lines
    from order_line where order_line.order_id = o.order_id
  ) l`;

/** What {@link toOrder} needs of `o` and `l`. */
export const orderColumns = `o.order_id, o.customer_id, o.given_name, o.family_name, o.email, o.status, o.currency, o.total,
    o.shipping_address, o.shipments, o.failure_reason, o.failure_message, o.history, o.revision, o.create_time,
    o.update_time, o.saga_id, l.lines`;

/** A line as JSON: SKU, quantity, unit price; the price as text, because JSON has no 64-bit integers. */
export type LineJson = [sku: string, quantity: number, unitPrice: string];

/** A parcel as it is stored. */
export interface ShipmentJson {
  readonly locationId: string;
  readonly shipmentId: string;
  readonly status: ShipmentStatus;
  readonly currency: string;
  readonly amount: string;
  readonly trackingNumber: string;
}

/** What {@link toNewOrder} needs: an order as its saga is started with it. */
export interface SagaOrderRow {
  order_id: string;
  customer_id: string;
  currency: string;
  total: bigint;
  shipping_address: ShippingAddress;
  saga_id: string;
  lines: LineJson[];
  card_token: string;
  traceparent: string;
}

/** An order with its lines. */
export interface OrderRow extends Omit<SagaOrderRow, "card_token" | "traceparent"> {
  given_name: string;
  family_name: string;
  email: string;
  status: OrderStatus;
  shipments: ShipmentJson[];
  failure_reason: string | null;
  failure_message: string | null;
  history: { status: OrderStatus; time: number }[];
  revision: number;
  create_time: Date;
  update_time: Date;
}

/** The order of a row. */
export function toOrder(row: OrderRow): Order {
  return {
    orderId: encodeId(row.order_id),
    customerId: encodeId(row.customer_id),
    contact: { givenName: row.given_name, familyName: row.family_name, email: row.email },
    status: row.status,
    lines: row.lines.map(toLine),
    total: { currency: row.currency, amount: row.total },
    shippingAddress: row.shipping_address,
    sagaId: encodeId(row.saga_id),
    shipments: row.shipments.map(toShipment),
    failure:
      row.failure_reason === null
        ? undefined
        : { reason: row.failure_reason, customerMessage: row.failure_message ?? "" },
    history: row.history.map(({ status, time }) => ({ status, time: new Date(time) })),
    revision: row.revision,
    createTime: row.create_time,
    updateTime: row.update_time,
  };
}

/** What the saga of a row is started with. */
export function toNewOrder(row: SagaOrderRow): NewOrder {
  return {
    orderId: encodeId(row.order_id),
    customerId: encodeId(row.customer_id),
    lines: row.lines.map(toLine),
    total: { currency: row.currency, amount: row.total },
    shippingAddress: row.shipping_address,
    cardToken: row.card_token,
    traceparent: row.traceparent,
  };
}

/** A line as {@link withLines} reads it back. */
export function toLineJson({ sku, quantity, unitPrice }: OrderLine): LineJson {
  return [sku, quantity, String(unitPrice)];
}

/** A parcel as the column holds it. */
export function toShipmentJson({ amount, ...rest }: OrderShipment): ShipmentJson {
  return { ...rest, currency: amount.currency, amount: String(amount.amount) };
}

function toLine([sku, quantity, unitPrice]: LineJson): OrderLine {
  return { sku, quantity, unitPrice: BigInt(unitPrice) };
}

function toShipment({ currency, amount, ...rest }: ShipmentJson): OrderShipment {
  return { ...rest, amount: { currency, amount: BigInt(amount) } };
}
