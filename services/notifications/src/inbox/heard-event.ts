import { type DescMessage, fromBinary, fromJsonString, type MessageShape } from "@bufbuild/protobuf";
import { CustomerEventSchema, PersonEventSchema } from "#gen/shop/events/v1/customer_event_pb.js";
import { OrderEventSchema, OrderReturnEventSchema } from "#gen/shop/events/v1/order_event_pb.js";
import { PaymentEventSchema } from "#gen/shop/events/v1/payment_event_pb.js";
import { StockEventSchema } from "#gen/shop/events/v1/stock_event_pb.js";
import type { Money } from "#gen/shop/type/v1/money_pb.js";
import type { CarriedEvent } from "#platform/events/event-reader.ts";
import { isId } from "#platform/id.ts";
import type { Facts } from "../notification/notification.ts";

/** What is kept of an event until it is decided who is to be told. */
export interface HeardEvent {
  readonly eventId: string;
  readonly type: HeardType;
  readonly time: Date;
  /** Undefined of an event about somebody who is forgotten. */
  readonly orderId: string | undefined;
  /** Whom to forget; undefined of all other events. */
  readonly customerId: string | undefined;
  /** What of the order it is about; see `Draft`. */
  readonly about: string;
  readonly facts: Facts;
}

/** What an event is read for. */
type Read = Partial<Pick<HeardEvent, "orderId" | "customerId" | "about" | "facts">>;

type Reader = (data: Uint8Array, isJson: boolean) => Read;

function reader<Schema extends DescMessage>(schema: Schema, read: (message: MessageShape<Schema>) => Read): Reader {
  return (data, isJson) => {
    const message = isJson
      ? fromJsonString(schema, new TextDecoder().decode(data), { ignoreUnknownFields: true })
      : fromBinary(schema, data);
    return read(message);
  };
}

function amountOf(money: Money | undefined): Facts {
  return money ? { currency: money.currency, amount: String(money.amount) } : {};
}

const ofOrder = reader(OrderEventSchema, ({ orderId, reason }) => ({ orderId, facts: reason ? { reason } : {} }));

/** The events that are listened to, by the type that each has. */
const readers = {
  "shop.orders.order.confirmed.v1": ofOrder,
  "shop.orders.order.rejected.v1": ofOrder,
  "shop.orders.order.cancelled.v1": ofOrder,
  "shop.orders.order.failed.v1": ofOrder,
  // Which parcels have left or arrived, the order says.
  "shop.orders.order.shipped.v1": ofOrder,
  "shop.orders.order.delivered.v1": ofOrder,
  "shop.orders.order.parcels_changed.v1": ofOrder,
  "shop.orders.order.cut.v1": reader(OrderEventSchema, ({ orderId }) => ({ orderId, facts: { isCut: true } })),
  "shop.orders.order.amended.v1": reader(OrderEventSchema, ({ orderId, amendmentNumber }) => ({
    orderId,
    about: String(amendmentNumber),
  })),
  "shop.orders.order.parcel_lost.v1": reader(OrderEventSchema, ({ orderId, locationId, refund }) => ({
    orderId,
    about: locationId,
    facts: amountOf(refund),
  })),
  "shop.orders.order.return_received.v1": reader(
    OrderReturnEventSchema,
    ({ orderId, returnId, amount, pieceCount }) => ({
      orderId,
      about: returnId,
      facts: { ...amountOf(amount), pieces: pieceCount },
    }),
  ),
  "shop.payments.payment.refunded.v1": reader(PaymentEventSchema, ({ orderId, operationId, amount }) => ({
    orderId,
    about: operationId,
    facts: amountOf(amount),
  })),
  "shop.inventory.stock.awaited.v1": reader(StockEventSchema, ({ orderId }) => ({ orderId })),
  "shop.orders.customer.erased.v1": reader(CustomerEventSchema, ({ customerId }) => ({ customerId })),
  // Who logs in and orders is a customer by the same id.
  "shop.identity.person.erased.v1": reader(PersonEventSchema, ({ personId }) => ({ customerId: personId })),
} as const satisfies Readonly<Record<string, Reader>>;

/** The type of an event that is listened to. */
export type HeardType = keyof typeof readers;

/** All of them. */
export const heardTypes = Object.keys(readers) as readonly HeardType[];

/** Whether events of this type are listened to. */
export function isHeard(type: string): type is HeardType {
  return Object.hasOwn(readers, type);
}

/**
 * Reads an event.
 *
 * @returns undefined for one that concerns nobody, or is of another version than is listened to
 * @throws Error for one that cannot be read
 */
export function readEvent({ attribute, data }: Omit<CarriedEvent, "place">): HeardEvent | undefined {
  const type = attribute("type");
  if (!isHeard(type)) return undefined;
  const eventId = attribute("id");
  const time = new Date(attribute("time"));
  if (!isId(eventId)) throw new Error("the event's id is none of ours");
  if (Number.isNaN(time.getTime())) throw new Error("the event has no time");
  const read = readers[type](data, attribute("datacontenttype") === "application/json");
  const { orderId, customerId, about = "", facts = {} }: Read = read;
  const named = [orderId, customerId].filter(Boolean) as string[];
  if (named.length === 0) return undefined;
  if (!named.every(isId)) throw new Error("the event names nothing of ours");
  return { eventId, type, time, orderId: orderId || undefined, customerId: customerId || undefined, about, facts };
}
