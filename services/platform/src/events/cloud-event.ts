import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { AuditEvent } from "#platform/audit/audit-event.ts";
import { decodeId } from "#platform/id.ts";
import type { ToldEvent } from "./event-types.ts";

/** How the data of events is written: as canonical JSON of the message, or as Protobuf. */
export type EventFormat = "json" | "protobuf";

/** An event as CloudEvents 1.0 has it. */
export interface CloudEvent {
  /** The context attributes, extensions among them. */
  readonly attributes: {
    readonly specversion: "1.0";
    /** The audit event's id: the same whenever it is sent. With the source it names the event. */
    readonly id: string;
    /** `/ordermesh/<service>`. */
    readonly source: string;
    /** `shop.<service>.<action>.v1`. */
    readonly type: string;
    /** What happened to whom: the order, the payment, the shipment, `sku@location`, the customer. */
    readonly subject: string;
    /** By the database's clock. */
    readonly time: string;
    readonly datacontenttype: string;
    /** `#shop.events.v1.<message>`: which message of the contract the data is. */
    readonly dataschema: string;
    /** The W3C trace in which it happened; left out when there was none. */
    readonly traceparent?: string;
  };
  readonly data: Uint8Array;
}

const contentTypes: Readonly<Record<EventFormat, string>> = {
  json: "application/json",
  protobuf: "application/protobuf",
};

const utf8 = new TextEncoder();

/** The type of an event, which subscribers select by. */
export function eventTypeOf(service: string, action: string): string {
  return `shop.${service}.${action}.v1`;
}

const addresses = "ordermesh.";

/** The subject of NATS that an event goes to. */
export function addressOf(service: string, action: string): string {
  return `${addresses}${service}.${action}`;
}

/** The type of the events that go to such a subject. */
export function typeAt(address: string): string {
  return `shop.${address.slice(addresses.length)}.v1`;
}

/** What is told of an effect. */
export function toCloudEvent(
  event: AuditEvent,
  type: ToldEvent,
  { service, format }: { readonly service: string; readonly format: EventFormat },
): CloudEvent {
  const message = create(type.schema, type.say(event));
  const { eventId, time, action, orderId, subject, traceId } = event;
  return {
    attributes: {
      specversion: "1.0",
      id: eventId,
      source: `/ordermesh/${service}`,
      type: eventTypeOf(service, action),
      subject: subject || orderId,
      time: time.toISOString(),
      datacontenttype: contentTypes[format],
      dataschema: `#${type.schema.typeName}`,
      ...(traceId && { traceparent: traceParentOf(eventId, traceId) }),
    },
    data: format === "json" ? utf8.encode(toJsonString(type.schema, message)) : toBinary(type.schema, message),
  };
}

/** The trace of what caused it. The log does not keep the span, so the second half of the event's id stands for it. */
function traceParentOf(eventId: string, traceId: string): string {
  return `00-${traceId}-${decodeId(eventId).replaceAll("-", "").slice(16)}-01`;
}

/** What a header does not take: all but printable ASCII, and of that the space, `"` and `%`. */
const unfit = /[^!#$&-~]/u;
const unfits = new RegExp(unfit, "gu");

/** An attribute as a header of NATS or HTTP has it: what is not printable ASCII, and what would need quotes, by its bytes. */
export function headerText(value: string): string {
  if (!unfit.test(value)) return value;
  return value.replace(unfits, (character) =>
    [...utf8.encode(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}
