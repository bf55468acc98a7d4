import { OrderShipmentStatus, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { hideCardNumbers } from "#platform/redact/redact-text.ts";
import type { OrderFailure, Outcome, ParcelStatus } from "../workflows/order-state.ts";
import type { InputOf, OrderMove, OrderParcel } from "../workflows/step-table.ts";
import { done, listCall } from "./batch-call.ts";
import type { ServiceClients } from "./clients.ts";
import { confirmReservations } from "./inventory.ts";

const statuses = {
  CONFIRMED: OrderStatus.CONFIRMED,
  PREPARING: OrderStatus.PREPARING,
  SHIPPED: OrderStatus.SHIPPED,
  DELIVERED: OrderStatus.DELIVERED,
  REJECTED: OrderStatus.REJECTED,
  CANCELLED: OrderStatus.CANCELLED,
  FAILED: OrderStatus.FAILED,
} as const satisfies Record<OrderMove | "PREPARING", OrderStatus>;

const parcelStatuses = {
  PLANNED: OrderShipmentStatus.PLANNED,
  SHIPPED: OrderShipmentStatus.SHIPPED,
  DELIVERED: OrderShipmentStatus.DELIVERED,
  CANCELLED: OrderShipmentStatus.CANCELLED,
  LOST: OrderShipmentStatus.LOST,
} as const satisfies Record<ParcelStatus, OrderShipmentStatus>;

interface Move {
  orderId: string;
  status: OrderMove | "PREPARING";
  failure?: OrderFailure;
  parcels?: OrderParcel[];
}

/** Moves orders to their next status. */
export function transitionOrder({ orders }: ServiceClients, entries: Move[]): Promise<Outcome<null>[]> {
  return listCall(
    entries,
    (part, options, traceparents) =>
      orders.batchTransitionOrders({ requests: part.map(toRequest), traceparents }, options),
    () => done(null),
  );
}

/**
 * Makes the reservations firm, then moves the orders to CONFIRMED. An order whose hold is gone is refused and stays as it
 * is. Both calls may be repeated, so a failure between them is healed by a repetition.
 */
export async function confirmOrder(
  clients: ServiceClients,
  entries: InputOf<"confirmOrder">[],
): Promise<Outcome<null>[]> {
  const outcomes = await confirmReservations(clients, entries);
  const firm = entries.filter((_, index) => outcomes[index]?.kind === "done");
  if (firm.length === 0) return outcomes;
  const moves = firm.map(({ orderId, parcels }) => ({ orderId, parcels, status: "CONFIRMED" as const }));
  const moved = await transitionOrder(clients, moves);
  const byOrder = new Map(firm.map(({ orderId }, index) => [orderId, moved[index]]));
  return entries.map(({ orderId }, index) => byOrder.get(orderId) ?? outcomes[index] ?? { kind: "pending" });
}

/** The reason of a cancellation by the workflow engine's own signal has passed nobody who refuses card numbers. */
function withoutCards({ reason, customerMessage }: OrderFailure): OrderFailure {
  return { reason, customerMessage: hideCardNumbers(customerMessage) };
}

function toRequest({ orderId, status, failure, parcels = [] }: Move) {
  return {
    orderId,
    status: statuses[status],
    ...(failure ? { failure: withoutCards(failure) } : {}),
    shipments: parcels.map((parcel) => ({
      locationId: parcel.locationId,
      shipmentId: parcel.shipmentId,
      trackingNumber: parcel.trackingNumber,
      status: parcelStatuses[parcel.status],
      amount: { currency: parcel.amount.currency, amount: BigInt(parcel.amount.amount) },
    })),
  };
}
