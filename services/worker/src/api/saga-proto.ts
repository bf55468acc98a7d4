import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ParkedStepSchema,
  type SagaOrder as ProtoOrder,
  SagaStage as ProtoStage,
  type SagaSchema,
  SagaStepStatus,
} from "#gen/shop/sagas/v1/saga_pb.js";
import {
  isKept,
  type OrderStatusView,
  type ParkedStepView,
  type SagaOrder,
  type SagaStage,
  type StepStatus,
} from "../workflows/order-state.ts";

const stages = {
  CHECKOUT: ProtoStage.CHECKOUT,
  FULFILLMENT: ProtoStage.FULFILLMENT,
  TRACKING: ProtoStage.TRACKING,
  COMPENSATING: ProtoStage.COMPENSATING,
  DELIVERED: ProtoStage.DELIVERED,
  REJECTED: ProtoStage.REJECTED,
  CANCELLED: ProtoStage.CANCELLED,
  FAILED: ProtoStage.FAILED,
} as const satisfies Record<SagaStage, ProtoStage>;

const stepStatuses = {
  RUNNING: SagaStepStatus.RUNNING,
  DONE: SagaStepStatus.DONE,
  REFUSED: SagaStepStatus.REFUSED,
  PARKED: SagaStepStatus.PARKED,
} as const satisfies Record<StepStatus, SagaStepStatus>;

/** An order of the contract as plain JSON for a workflow. Amounts are at most 10^12: a number holds them exactly. */
export function toSagaOrder(order: ProtoOrder): SagaOrder {
  const { orderId, customerId, lines, total, shippingAddress, cardToken, traceparent } = order;
  const { recipient = "", lines: street = [], city = "", postalCode = "", country = "" } = shippingAddress ?? {};
  return {
    orderId,
    customerId,
    lines: lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice: Number(unitPrice) })),
    total: { currency: total?.currency ?? "", amount: Number(total?.amount ?? 0n) },
    address: { recipient, lines: street, city, postalCode, country },
    cardToken,
    // One that is not kept would be carried through the whole history for nothing.
    traceparent: isKept(traceparent) ? traceparent : "",
  };
}

/** The answer of the query as a message. */
export function toSaga(sagaId: string, view: OrderStatusView): MessageInitShape<typeof SagaSchema> {
  const { orderId, stage, steps, failureReason, listSize } = view;
  return {
    ...{ sagaId, orderId, failureReason, listSize },
    stage: stages[stage],
    steps: steps.map(({ name, status, startTime }) => ({
      name,
      status: stepStatuses[status],
      startTime: timestampFromMs(startTime),
    })),
  };
}

/** A parked step as a message. */
export function toParkedStep(sagaId: string, view: ParkedStepView): MessageInitShape<typeof ParkedStepSchema> {
  const { orderId, step, error, parkTime } = view;
  return { sagaId, orderId, step, error, parkTime: timestampFromMs(parkTime) };
}
