import { eventTypeOf } from "#platform/events/cloud-event.ts";
import { type EventTypes, isTold } from "#platform/events/event-types.ts";
import { identityEvents } from "../../services/identity/src/proof/identity-events.ts";
import { inventoryEvents } from "../../services/inventory/src/inventory-events.ts";
import { notificationEvents } from "../../services/notifications/src/proof/notification-events.ts";
import { ordersEvents } from "../../services/orders/src/order/order-events.ts";
import { paymentsEvents } from "../../services/payments/src/payment/payment-events.ts";
import type { DatabaseService } from "../../services/services.ts";
import { shippingEvents } from "../../services/shipping/src/shipment/shipment-events.ts";
import { webhookEvents } from "../../services/webhooks/src/proof/webhook-events.ts";

/** What each service tells. The outside world has no audit log of ours. */
export const eventTables: Readonly<Record<Exclude<DatabaseService, "simulators">, EventTypes>> = {
  orders: ordersEvents,
  payments: paymentsEvents,
  inventory: inventoryEvents,
  shipping: shippingEvents,
  identity: identityEvents,
  notifications: notificationEvents,
  webhooks: webhookEvents,
};

/** Those that have an audit log. */
export type AuditedService = keyof typeof eventTables;

/** What of its audit log a service tells. */
export function toldActions(service: AuditedService): ReadonlySet<string> {
  const told = Object.entries(eventTables[service]).filter(([, type]) => isTold(type));
  return new Set(told.map(([action]) => action));
}

/** Those that tell something. */
export const tellers = (Object.keys(eventTables) as AuditedService[]).filter(
  (service) => toldActions(service).size > 0,
);

const begin = "<!-- types -->";
const end = "<!-- end of types -->";

/** The part of the page that lists all types, and what is told to nobody. */
export function typesSection(): string {
  const told = Object.entries(eventTables).flatMap(([service, types]) =>
    Object.entries(types).flatMap(([action, type]) =>
      isTold(type)
        ? [`| \`${eventTypeOf(service, action)}\` | \`ordermesh.${service}.${action}\` | \`${type.schema.name}\` |`]
        : [],
    ),
  );
  const internal = Object.entries(eventTables).flatMap(([service, types]) =>
    Object.entries(types).flatMap(([action, type]) =>
      isTold(type) ? [] : [`| \`${action}\` of ${service} | ${type.internal} |`],
    ),
  );
  return [
    "| type | subject of NATS | data |",
    "|---|---|---|",
    ...told,
    "",
    "Told to nobody, and only in the audit log:",
    "",
    "| action | why |",
    "|---|---|",
    ...internal,
  ].join("\n");
}

/** The page with the part that is made. @throws Error when it lacks the place for it */
export function withTypes(page: string): string {
  const [head, rest] = page.split(begin);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined) throw new Error(`docs/events.md lacks ${begin} or ${end}`);
  return `${head}${begin}\n${typesSection()}\n${end}${tail}`;
}
