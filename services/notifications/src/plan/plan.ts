import { type Order, OrderShipmentStatus } from "#gen/shop/orders/v1/order_pb.js";
import type { HeardEvent, HeardType } from "../inbox/heard-event.ts";
import type { Draft, NotificationKind } from "../notification/notification.ts";

/** What of an event a plan needs. */
export type PlannedEvent = Pick<HeardEvent, "type" | "about" | "facts">;

type Plan = (event: PlannedEvent, order: Order) => readonly Draft[];

/** One notification, as the event says it. */
function one(kind: NotificationKind): Plan {
  return ({ about, facts }) => [{ kind, about, facts }];
}

/** What a parcel has left behind it when it is so far; lost parcels are told of by an event of their own. */
const reached: Readonly<Partial<Record<OrderShipmentStatus, readonly NotificationKind[]>>> = {
  [OrderShipmentStatus.SHIPPED]: ["parcel_shipped"],
  [OrderShipmentStatus.DELIVERED]: ["parcel_shipped", "parcel_delivered"],
};

/** Of each parcel, what it has come to; what was told before is not told again, because each is told once. */
function parcels(_event: PlannedEvent, { shipments }: Order): readonly Draft[] {
  return shipments.flatMap(({ shipmentId, status }) =>
    shipmentId === "" ? [] : (reached[status] ?? []).map((kind) => ({ kind, about: shipmentId, facts: {} })),
  );
}

/** Who is forgotten is told nothing. */
const nothing: Plan = () => [];

const plans: Readonly<Record<HeardType, Plan>> = {
  "shop.orders.order.confirmed.v1": one("order_confirmed"),
  "shop.orders.order.rejected.v1": one("order_rejected"),
  "shop.orders.order.cancelled.v1": one("order_cancelled"),
  "shop.orders.order.failed.v1": one("order_cancelled"),
  "shop.orders.order.shipped.v1": parcels,
  "shop.orders.order.delivered.v1": parcels,
  "shop.orders.order.parcels_changed.v1": parcels,
  "shop.orders.order.cut.v1": one("order_changed"),
  "shop.orders.order.amended.v1": one("order_changed"),
  "shop.orders.order.parcel_lost.v1": one("parcel_lost"),
  "shop.orders.order.return_received.v1": one("return_received"),
  "shop.payments.payment.refunded.v1": one("payment_refunded"),
  "shop.inventory.stock.awaited.v1": one("order_delayed"),
  "shop.orders.customer.erased.v1": nothing,
  "shop.identity.person.erased.v1": nothing,
};

/** What the customer is to be told because of an event, of the order as it is. */
export function planOf(event: PlannedEvent, order: Order): readonly Draft[] {
  return plans[event.type](event, order);
}
