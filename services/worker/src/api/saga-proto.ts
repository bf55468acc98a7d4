import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { OrderSaga, ParkedOrder } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import {
  type ParkedStep,
  ParkedStepSchema,
  type SagaOrder as ProtoOrder,
  SagaStage as ProtoStage,
  type Saga,
  SagaSchema,
  SagaStepStatus,
} from "#gen/shop/sagas/v1/saga_pb.js";
import { parseTraceParent } from "#platform/trace-parent.ts";
import { whole } from "#platform/whole.ts";
import type { StepStatus } from "../workflows/engine/saga.ts";
import type { ParkedStepView } from "../workflows/legacy/engine/parking.ts";
import type { OrderStatusView, SagaOrder } from "../workflows/legacy/order-state.ts";
import type { SagaStage } from "../workflows/order/order-types.ts";
import type { SagaState, StepRecord } from "../workflows/order-state.ts";

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
    traceparent: parseTraceParent(traceparent)?.sampled ? traceparent : "",
  };
}

/** The answer of the query as a message. */
export function toSaga(sagaId: string, { orderId, stage, steps, failureReason, listSize }: OrderStatusView): Saga {
  return whole(SagaSchema, {
    sagaId,
    orderId,
    stage: stages[stage],
    steps: steps.map(toStep),
    failureReason,
    listSize,
  });
}

function toStep({ name, status, startTime, error = "" }: StepRecord) {
  return { name, status: stepStatuses[status], startTime: timestampFromMs(startTime), error };
}

/** What the row of an order knows of its saga; without a state nothing has been settled yet. */
export function toSettledSaga({ orderId, episodeId, lastEpisodeId }: OrderSaga, state: SagaState | undefined): Saga {
  return whole(SagaSchema, {
    sagaId: episodeId || lastEpisodeId,
    orderId,
    stage: stages[state?.stage ?? "CHECKOUT"],
    steps: (state?.steps ?? []).map(toStep),
    failureReason: state?.failure?.reason ?? "",
    listSize: state?.batchSize ?? 0,
  });
}

/** A parked step of a row as a message. */
export function toParkedOrder({ orderId, customerId, step, parkTime, lastEpisodeId }: ParkedOrder): ParkedStep {
  const { step: name = "", reason = "", error = "" } = step ?? {};
  return whole(ParkedStepSchema, { sagaId: lastEpisodeId, orderId, customerId, step: name, reason, error, parkTime });
}

/** What a workflow of the kind before episodes does not tell with its parked steps. */
const unknown = { reason: "", customerId: "" };

/** A parked step as a message. */
export function toParkedStep(sagaId: string, { orderId, step, error, parkTime }: ParkedStepView): ParkedStep {
  return whole(ParkedStepSchema, { sagaId, orderId, step, error, parkTime: timestampFromMs(parkTime), ...unknown });
}

/** A workflow that has parked steps, and cannot say which. */
export function toUnreadable(sagaId: string, cause: unknown): ParkedStep {
  const error = `the steps of this workflow cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
  return whole(ParkedStepSchema, { sagaId, orderId: "", step: "", error, parkTime: undefined, ...unknown });
}
