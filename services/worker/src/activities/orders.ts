import {
  BatchTransitionOrdersRequestSchema,
  type TransitionOrderRequestSchema,
} from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { OrderShipmentStatus, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { hideCardNumbers } from "#platform/redact/redact-text.ts";
import { type Whole, whole } from "#platform/whole.ts";
import type { Outcome } from "../workflows/engine/step-batch.ts";
import type { OrderFailure, ParcelStatus } from "../workflows/order-state.ts";
import { type OrderMove, type OrderParcel, steps, type TransitionInput } from "../workflows/step-table.ts";
import { batchCall, bothHalves, done, pending } from "./batch-call.ts";
import { confirmStock } from "./inventory.ts";
import type { ServiceClients, StepWorks } from "./step-work.ts";

const statuses = {
  CONFIRMED: OrderStatus.CONFIRMED,
  PREPARING: OrderStatus.PREPARING,
  SHIPPED: OrderStatus.SHIPPED,
  DELIVERED: OrderStatus.DELIVERED,
  REJECTED: OrderStatus.REJECTED,
  CANCELLED: OrderStatus.CANCELLED,
  FAILED: OrderStatus.FAILED,
} as const satisfies Record<OrderMove, OrderStatus>;

const parcelStatuses = {
  PLANNED: OrderShipmentStatus.PLANNED,
  SHIPPED: OrderShipmentStatus.SHIPPED,
  DELIVERED: OrderShipmentStatus.DELIVERED,
  CANCELLED: OrderShipmentStatus.CANCELLED,
  LOST: OrderShipmentStatus.LOST,
} as const satisfies Record<ParcelStatus, OrderShipmentStatus>;

/** What the saga asks of the orders. */
export const orderWorks = {
  /**
   * Makes the reservations firm, then moves the orders. An order whose hold is gone is refused and stays as it is. Both
   * calls may be repeated, so a failure between them is healed by a repetition.
   */
  confirmOrder: (clients, entries) => {
    const [first, second] = steps.confirmOrder.halves;
    const calls = {
      confirmStock: (held: typeof entries) => confirmStock(clients, held),
      CONFIRMED: (firm: typeof entries) => moveOrders(clients, firm, "CONFIRMED"),
    };
    return bothHalves(entries, calls[first], calls[second]);
  },

  /** Moves orders to their next status. */
  transitionOrder,
} satisfies Partial<StepWorks>;

function transitionOrder({ orders }: ServiceClients, entries: TransitionInput[]): Promise<Outcome<null>[]> {
  return batchCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map(toRequest);
      const request = whole(BatchTransitionOrdersRequestSchema, { requests, traceparents });
      return orders.batchTransitionOrders(request, options);
    },
    () => done(null),
  );
}

function toRequest({ orderId, status, failure, parcels = [] }: TransitionInput) {
  return {
    orderId,
    status: statuses[status],
    failure: failure && withoutCards(failure),
    shipments: parcels.map((parcel) => ({
      locationId: parcel.locationId,
      shipmentId: parcel.shipmentId,
      trackingNumber: parcel.trackingNumber,
      status: parcelStatuses[parcel.status],
      amount: { currency: parcel.amount.currency, amount: BigInt(parcel.amount.amount) },
    })),
  } satisfies Whole<typeof TransitionOrderRequestSchema>;
}

/** The reason of a cancellation by the workflow engine's own signal has passed nobody who refuses card numbers. */
function withoutCards({ reason, customerMessage }: OrderFailure): OrderFailure {
  return { reason, customerMessage: hideCardNumbers(customerMessage) };
}

/** Moves the orders of entries, each once; the outcome of its order is that of an entry. */
export async function moveOrders(
  clients: ServiceClients,
  entries: { orderId: string; parcels?: OrderParcel[] }[],
  status: OrderMove,
): Promise<Outcome<null>[]> {
  const moves = new Map(
    entries.map(({ orderId, parcels }) => [orderId, { orderId, status, ...(parcels && { parcels }) }]),
  );
  const moved = await transitionOrder(clients, [...moves.values()]);
  const byOrder = new Map([...moves.keys()].map((orderId, index) => [orderId, moved[index]]));
  return entries.map(({ orderId }) => byOrder.get(orderId) ?? pending);
}
