import { createRegistry, fromBinary, type Registry, toJsonString } from "@bufbuild/protobuf";
import { file_shop_events_v1_customer_event as customers } from "#gen/shop/events/v1/customer_event_pb.js";
import { file_shop_events_v1_order_event as orders } from "#gen/shop/events/v1/order_event_pb.js";
import { file_shop_events_v1_payment_event as payments } from "#gen/shop/events/v1/payment_event_pb.js";
import { file_shop_events_v1_shipment_event as shipments } from "#gen/shop/events/v1/shipment_event_pb.js";
import { file_shop_events_v1_stock_event as stock } from "#gen/shop/events/v1/stock_event_pb.js";
import type { CarriedEvent } from "#platform/events/event-reader.ts";
import { isId } from "#platform/id.ts";

/** What is kept of an event. */
export interface HeardEvent {
  /** An id of ours, as text. */
  readonly eventId: string;
  readonly type: string;
  readonly subject: string;
  readonly time: Date;
  /** JSON. */
  readonly data: string;
  /** Its number in the stream. */
  readonly place: number;
}

const messages: Registry = createRegistry(customers, orders, payments, shipments, stock);

/** An event as it came, with its data as JSON. @throws Error for what is no event of ours */
export function readEvent({ place, attribute, data }: CarriedEvent): HeardEvent {
  const [eventId, type, subject] = [attribute("id"), attribute("type"), attribute("subject")];
  const time = new Date(attribute("time"));
  if (!isId(eventId) || type === "" || Number.isNaN(time.getTime())) throw new Error("it is no event of ours");
  return { eventId, type, subject, time, place, data: jsonOf(attribute, data) };
}

function jsonOf(attribute: CarriedEvent["attribute"], data: Uint8Array): string {
  if (attribute("datacontenttype") === "application/json") {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data);
    // biome-ignore lint/plugin/json: it goes on as it is, and is only looked at
    JSON.parse(text);
    return text;
  }
  const name = attribute("dataschema").replace(/^#/, "");
  const schema = messages.getMessage(name);
  if (!schema) throw new Error(`nobody here knows the message "${name}"`);
  return toJsonString(schema, fromBinary(schema, data));
}
