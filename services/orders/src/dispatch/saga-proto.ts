import { create } from "@bufbuild/protobuf";
import { type SagaOrder, SagaOrderSchema } from "#gen/shop/sagas/v1/saga_pb.js";
import { type StartOrderSagaRequest, StartOrderSagaRequestSchema } from "#gen/shop/sagas/v1/saga_service_pb.js";
import type { NewOrder, SagaList } from "../order/order.ts";

/** The start of a saga; the same bytes for the same list. */
export function toStartRequest({ sagaId, orders }: SagaList): StartOrderSagaRequest {
  return create(StartOrderSagaRequestSchema, { sagaId, orders: orders.map(toSagaOrder) });
}

function toSagaOrder(order: NewOrder): SagaOrder {
  const { orderId, customerId, lines, total, shippingAddress, cardToken, traceparent } = order;
  return create(SagaOrderSchema, {
    orderId,
    customerId,
    lines: lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice })),
    total: { ...total },
    shippingAddress: { ...shippingAddress, lines: [...shippingAddress.lines] },
    cardToken,
    traceparent,
  });
}
