import { CustomerEventSchema } from "#gen/shop/events/v1/customer_event_pb.js";
import { OrderEventSchema, OrderReturnEventSchema } from "#gen/shop/events/v1/order_event_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { ReturnKind, ReturnReason, ReturnStatus } from "#gen/shop/orders/v1/order_return_pb.js";
import type { AuditEvent } from "#platform/audit/audit-event.ts";
import { countIn, moneyIn, valueNamed } from "#platform/events/details.ts";
import { type EventTypes, internal, told } from "#platform/events/event-types.ts";

/** Only which order. */
const named = told(OrderEventSchema, ({ orderId }) => ({ orderId }));

/** An order that came to another status, or whose parcels changed. */
const moved = told(OrderEventSchema, ({ orderId, details }) => ({
  orderId,
  status: valueNamed(OrderStatus, details.to),
  previousStatus: valueNamed(OrderStatus, details.from),
  revision: countIn(details, "revision"),
  reason: details.reason ?? "",
}));

/** An order that costs something else from now on. */
const repriced = told(OrderEventSchema, ({ orderId, details }) => ({
  orderId,
  revision: countIn(details, "revision"),
  total: moneyIn(details, "to"),
  previousTotal: moneyIn(details, "from"),
  reason: details.reason ?? "",
  amendmentNumber: countIn(details, "number"),
}));

const reasoned = told(OrderEventSchema, ({ orderId, details }) => ({ orderId, reason: details.reasons ?? "" }));

const created = told(OrderEventSchema, ({ orderId, details }) => ({
  orderId,
  status: OrderStatus.PENDING,
  total: moneyIn(details, "total"),
  lineCount: countIn(details, "lines"),
  restOfOrderId: details.rest_of ?? "",
  revision: 1,
}));

const imported = told(OrderEventSchema, ({ orderId, details }) => ({
  orderId,
  status: valueNamed(OrderStatus, details.status),
  total: moneyIn(details, "total"),
  lineCount: countIn(details, "lines"),
}));

const deleted = told(OrderEventSchema, ({ orderId, details }) => ({
  orderId,
  previousStatus: valueNamed(OrderStatus, details.from),
  total: moneyIn(details, "total"),
}));

const parcelLost = told(OrderEventSchema, ({ orderId, details }) => ({
  orderId,
  locationId: details.location ?? "",
  refund: moneyIn(details, "refund"),
}));

function returnOf({ orderId, details }: AuditEvent) {
  return { orderId, returnId: details.return ?? "" };
}

/** A return that came to a status. */
function returned(status: ReturnStatus) {
  return told(OrderReturnEventSchema, (event) => ({
    ...returnOf(event),
    status,
    kind: valueNamed(ReturnKind, event.details.kind),
    reason: valueNamed(ReturnReason, event.details.reason),
    amount: moneyIn(event.details, "amount"),
    withheldAmount: moneyIn(event.details, "withheld")?.amount ?? 0n,
    pieceCount: countIn(event.details, "pieces"),
    locationId: event.details.parcel ?? "",
  }));
}

const label = told(OrderReturnEventSchema, (event) => ({ ...returnOf(event), code: event.details.code ?? "" }));

const exchange = told(OrderReturnEventSchema, (event) => ({
  ...returnOf(event),
  exchangeOrderId: event.details.exchange ?? "",
  code: event.details.reason ?? "",
}));

const customer = told(CustomerEventSchema, ({ subject, details }) => ({
  customerId: subject,
  revision: countIn(details, "revision"),
}));

/** What becomes of each action in the audit log of orders. */
export const ordersEvents = {
  "order.created": created,
  "order.imported": imported,
  "order.confirmed": moved,
  "order.preparing": moved,
  "order.shipped": moved,
  "order.delivered": moved,
  "order.rejected": moved,
  "order.cancelled": moved,
  "order.failed": moved,
  "order.parcels_changed": moved,
  "order.parcel_lost": parcelLost,
  "order.cut": repriced,
  "order.cancel_requested": named,
  "order.amendment_requested": repriced,
  "order.amended": repriced,
  "order.amendment_refused": repriced,
  "order.deleted": deleted,
  "order.review_began": reasoned,
  "order.review_released": named,
  "order.review_refused": named,
  "order.review_expired": named,
  "order.screening_refused": reasoned,
  "order.person_forgotten": named,
  "order.return_requested": returned(ReturnStatus.REQUESTED),
  "order.return_approved": returned(ReturnStatus.APPROVED),
  "order.return_received": returned(ReturnStatus.RECEIVED),
  "order.return_completed": returned(ReturnStatus.COMPLETED),
  "order.return_rejected": returned(ReturnStatus.REJECTED),
  "order.return_cancelled": returned(ReturnStatus.CANCELLED),
  "order.return_exchange_made": exchange,
  "order.return_exchange_refused": exchange,
  "order.return_label_made": label,
  "order.return_label_refused": label,
  "order.step_retry_requested": internal(
    "An operator has a step of the saga repeated; what comes of it is another event.",
  ),
  "order.step_resolve_requested": internal("An operator has done a step by hand; what comes of it is another event."),
  "customer.created": customer,
  "customer.imported": customer,
  "customer.changed": customer,
  "customer.erased": customer,
  "audit.read": internal("Somebody read the audit log."),
} as const satisfies EventTypes;
