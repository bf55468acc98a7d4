import { type SagaOrder, SagaOrderSchema } from "#gen/shop/sagas/v1/saga_pb.js";
import { type StartOrderSagaRequest, StartOrderSagaRequestSchema } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { whole } from "#platform/whole.ts";
import type { NewOrder, SagaBatch } from "../order/order.ts";

/** The start of a workflow of the kind before episodes; the same bytes for the same batch. */
export function toStartRequest({ sagaId, orders }: SagaBatch): StartOrderSagaRequest {
  return whole(StartOrderSagaRequestSchema, { sagaId, orders: orders.map(toSagaOrder) });
}

function toSagaOrder(order: NewOrder): SagaOrder {
  const { shippingAddress } = order;
  return whole(SagaOrderSchema, {
    orderId: order.orderId,
    customerId: order.customerId,
    lines: order.lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice, amount: undefined })),
    total: { ...order.total },
    shippingAddress: { ...shippingAddress, lines: [...shippingAddress.lines] },
    cardToken: order.cardToken,
    traceparent: order.traceparent,
  });
}
