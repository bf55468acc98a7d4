import { type SagaOrder, SagaOrderSchema } from "#gen/shop/sagas/v1/saga_pb.js";
import {
  type CancelOrderSagaRequest,
  CancelOrderSagaRequestSchema,
  type StartOrderSagaRequest,
  StartOrderSagaRequestSchema,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { whole } from "#platform/whole.ts";
import type { NewOrder, SagaBatch } from "../order/order.ts";

/** The start of a saga; the same bytes for the same batch. */
export function toStartRequest({ sagaId, orders }: SagaBatch): StartOrderSagaRequest {
  return whole(StartOrderSagaRequestSchema, { sagaId, orders: orders.map(toSagaOrder) });
}

/** The cancellation of an order, and the saga that carries it. */
export interface SagaCancellation {
  readonly requestId: string;
  readonly orderId: string;
  readonly sagaId: string;
  readonly reason: string;
}

/** What the worker is asked when an order is to be withdrawn. */
export function toCancelRequest({ requestId, orderId, sagaId, reason }: SagaCancellation): CancelOrderSagaRequest {
  return whole(CancelOrderSagaRequestSchema, { requestId, orderId, sagaId, reason });
}

function toSagaOrder(order: NewOrder): SagaOrder {
  const { shippingAddress } = order;
  return whole(SagaOrderSchema, {
    orderId: order.orderId,
    customerId: order.customerId,
    lines: order.lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice })),
    total: { ...order.total },
    shippingAddress: { ...shippingAddress, lines: [...shippingAddress.lines] },
    cardToken: order.cardToken,
    traceparent: order.traceparent,
  });
}
