import { type Duration, durationMs, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type BeginParkedDecisionsRequest,
  BeginParkedDecisionsRequestSchema,
  type BeginParkedDecisionsResponse,
  BeginParkedDecisionsResponseSchema,
  type DecideParkedStepRequest,
  DecideParkedStepRequestSchema,
  type ListParkedOrdersRequest,
  type OrderSaga,
  OrderSagaSchema,
  type ParkedOrder as ParkedOrderProto,
  ParkedOrderSchema,
  type ParkedOrderStep,
  ParkedOrderStepSchema,
  ParkedStepDecision,
  type ReportShipmentRequest,
  type SettleOrderRequest,
  ShipmentNewsSchema,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { fingerprint } from "#platform/database/idempotency.ts";
import { whole } from "#platform/whole.ts";
import type { OrderMemory } from "../episode/episode.repository.ts";
import type { DecidedAbout, ParkedDecision, ParkedFilter, ParkedOrder } from "../episode/parked-orders.repository.ts";
import type { ParkedStep, Settlement } from "../episode/settlement.repository.ts";
import type { ShipmentReport } from "../episode/shipment-reports.ts";
import type { StepDecisionRequest } from "../order/order-audit.ts";
import { toChange, toStatusProto } from "./order-proto.ts";

/** How an order leaves an episode. */
export function toSettlement(request: SettleOrderRequest): Settlement {
  const { episodeId, saga, cancellable, needsCard, retryAfter, waitsFor, parked, awaitsStock, amended } = request;
  const { cancellationHeard } = request;
  return {
    ...toChange(request),
    episodeId,
    saga,
    cancellable,
    needsCard,
    retryAfterMs: wholeDurationMs(retryAfter),
    waitsFor,
    parked: parked && toParkedStep(parked),
    awaitsStock,
    amended,
    cancellationHeard,
  };
}

/** What became of a shipment. */
export function toShipmentReport(request: ReportShipmentRequest): ShipmentReport {
  const { orderId, locationId, trackingNumber, reason, generation } = request;
  const news = ShipmentNewsSchema.value[request.news]?.localName;
  if (news === undefined) throw new RangeError(`${request.news} is no news of a shipment`);
  return { orderId, locationId, news, trackingNumber, reason, ...(generation > 0 && { generation }) };
}

/** What an order remembers. */
export function toSagaProto({ orderId, episodeId, lastEpisodeId, saga, legacy, status }: OrderMemory): OrderSaga {
  return whole(OrderSagaSchema, {
    orderId,
    episodeId: episodeId ?? "",
    lastEpisodeId: lastEpisodeId ?? "",
    saga,
    legacy,
    status: toStatusProto(status),
  });
}

/** What lists and decisions select by. */
type ParkedCriteria = Pick<ListParkedOrdersRequest, "step" | "reason" | "customerId" | "olderThan" | "parkedBefore">;

/** The filter of a list of parked orders; nothing given is any. */
export function toParkedFilter(request: ParkedCriteria): ParkedFilter {
  const { step, reason, customerId, olderThan, parkedBefore } = request;
  return {
    step: step || undefined,
    reason: reason || undefined,
    customerId: customerId || undefined,
    olderThanMs: wholeDurationMs(olderThan),
    parkedBefore: parkedBefore && timestampDate(parkedBefore),
  };
}

/** What an operator decides about a parked step. */
export function toStepDecision(request: DecideParkedStepRequest): StepDecisionRequest {
  const { requestId, orderId, step, note } = request;
  const decision = request.decision === ParkedStepDecision.RESOLVE ? "resolve" : "retry";
  return { requestId, fingerprint: fingerprint(DecideParkedStepRequestSchema, request), orderId, step, decision, note };
}

/** What an operator decides about many; one that is only tried has no request id. */
export function toParkedDecision(request: BeginParkedDecisionsRequest): ParkedDecision {
  return {
    requestId: request.dryRun ? "" : request.requestId,
    fingerprint: fingerprint(BeginParkedDecisionsRequestSchema, request),
    filter: toParkedFilter(request),
  };
}

/** Which steps a decision is about. */
export function toBegunProto({ parkedBefore, matching, waiting }: DecidedAbout): BeginParkedDecisionsResponse {
  const before = timestampFromDate(parkedBefore);
  return whole(BeginParkedDecisionsResponseSchema, { parkedBefore: before, matching, waiting });
}

/** An order that waits for an operator. */
export function toParkedProto({ orderId, customerId, parked, parkTime, lastEpisodeId }: ParkedOrder): ParkedOrderProto {
  const { step, reason, error } = parked;
  return whole(ParkedOrderSchema, {
    orderId,
    customerId,
    step: whole(ParkedOrderStepSchema, { step, reason, error }),
    parkTime: timestampFromDate(parkTime),
    lastEpisodeId,
  });
}

function toParkedStep({ step, reason, error }: ParkedOrderStep): ParkedStep {
  return { step, reason, error };
}

/** What is less than a millisecond is one: not before it is time. */
function wholeDurationMs(duration: Duration | undefined): number | undefined {
  return duration && Math.ceil(durationMs(duration));
}
