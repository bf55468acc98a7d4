import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type BatchCompleteReturnsRequest,
  BatchCompleteReturnsResponseSchema,
  type BatchCutOrdersRequest,
  BatchCutOrdersResponseSchema,
  type BatchDecideAmendmentsRequest,
  BatchDecideAmendmentsResponseSchema,
  type BatchDecideExchangesRequest,
  BatchDecideExchangesResponseSchema,
  type BatchResolveParcelsRequest,
  BatchResolveParcelsResponseSchema,
  type BatchScreenOrdersRequest,
  BatchScreenOrdersResponseSchema,
  type BatchTransitionOrdersRequest,
  BatchTransitionOrdersResponseSchema,
  CompleteReturnResponseSchema,
  DecideAmendmentResponseSchema,
  DecideExchangeResponseSchema,
  type NoteStepDecisionRequest,
  NoteStepDecisionRequestSchema,
  NoteStepDecisionResponseSchema,
  type OrderLifecycleService,
  ParcelFate as ParcelFateProto,
  type ResolveParcelRequest,
  ResolveParcelResponseSchema,
  ScreeningVerdict,
  ScreenOrderResponseSchema,
  StepDecision,
  TransitionOrderResponseSchema,
} from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { answerEach } from "#platform/batch/batch-call.ts";
import { fingerprint } from "#platform/database/idempotency.ts";
import { whole } from "#platform/whole.ts";
import type { AmendmentDecisions } from "../amend/amendment-decisions.ts";
import type { AuditedRequests } from "../order/audited-requests.repository.ts";
import type { StepDecisionRequest } from "../order/order-audit.ts";
import type { OrderMover } from "../order/order-mover.ts";
import type { OrderReturns } from "../returns/order-returns.ts";
import type { FatedParcel, ParcelFate, ParcelReturns } from "../returns/parcel-returns.ts";
import type { ReturnExchanges } from "../returns/return-exchanges.ts";
import type { OrderScreening, Screening } from "../screening/order-screening.ts";
import type { OrderCuts } from "../shortage/order-cuts.ts";
import { toAmendmentDecision, toCutOrderProto, toMove, toStatusProto } from "./order-proto.ts";

const subjectOf = ({ orderId }: { readonly orderId: string }) => ({ "order.id": orderId });
const transition = { method: "TransitionOrder", subjectOf };
const completion = { method: "CompleteReturn", subjectOf };
const screening = { method: "ScreenOrder", subjectOf };
const cut = { method: "CutOrder", subjectOf };
const amendment = { method: "DecideAmendment", subjectOf };
const exchange = { method: "DecideExchange", subjectOf };
const resolution = { method: "ResolveParcel", subjectOf };

const fates = new Map<ParcelFateProto, ParcelFate>([
  [ParcelFateProto.TO_BE_RETURNED, "to_be_returned"],
  [ParcelFateProto.CAME_BACK, "came_back"],
  [ParcelFateProto.LOST, "lost"],
]);

const verdictToProto = {
  pass: ScreeningVerdict.PASS,
  review: ScreeningVerdict.REVIEW,
} as const satisfies Record<Screening, ScreeningVerdict>;

/** What the service works with. */
export interface OrderLifecycleApiOptions {
  readonly mover: OrderMover;
  readonly screening: Pick<OrderScreening, "screen">;
  readonly returns: Pick<OrderReturns, "complete">;
  readonly parcels: Pick<ParcelReturns, "resolve">;
  readonly decisions: AuditedRequests<StepDecisionRequest>;
  readonly amendments: Pick<AmendmentDecisions, "decide">;
  readonly cuts: Pick<OrderCuts, "cut">;
  readonly exchanges: Pick<ReturnExchanges, "decide">;
}

/** OrderLifecycleService, as its proto says. */
export class OrderLifecycleApi implements ServiceImpl<typeof OrderLifecycleService> {
  readonly #options: OrderLifecycleApiOptions;

  constructor(options: OrderLifecycleApiOptions) {
    this.#options = options;
  }

  /** Screens many orders, each with its own outcome. */
  async batchScreenOrders(batch: BatchScreenOrdersRequest, { signal }: HandlerContext) {
    const outcomes = await answerEach(batch, screening, async ({ orderId }) => {
      const verdict = await this.#options.screening.screen(orderId, signal);
      return whole(ScreenOrderResponseSchema, { verdict: verdictToProto[verdict] });
    });
    return whole(BatchScreenOrdersResponseSchema, { outcomes });
  }

  /** Notes that stock and money of many returns are back, each with its own outcome. */
  async batchCompleteReturns(batch: BatchCompleteReturnsRequest) {
    const outcomes = await answerEach(batch, completion, async ({ orderId, returnId, rejected }) => {
      await this.#options.returns.complete({ orderId, returnId }, rejected ? "rejected" : "completed");
      return whole(CompleteReturnResponseSchema, {});
    });
    return whole(BatchCompleteReturnsResponseSchema, { outcomes });
  }

  /** Says what becomes of many parcels that do not simply arrive, each with its own outcome. */
  async batchResolveParcels(batch: BatchResolveParcelsRequest) {
    const outcomes = await answerEach(batch, resolution, async (request) => {
      return whole(ResolveParcelResponseSchema, await this.#options.parcels.resolve(toFatedParcel(request)));
    });
    return whole(BatchResolveParcelsResponseSchema, { outcomes });
  }

  /** Takes out of many orders what is missing of them, each with its own outcome. */
  async batchCutOrders(batch: BatchCutOrdersRequest, { signal }: HandlerContext) {
    const outcomes = await answerEach(batch, cut, async ({ orderId, missing }) => {
      const lines = missing.map(({ sku, quantity }) => ({ sku, quantity }));
      return toCutOrderProto(await this.#options.cuts.cut({ orderId, missing: lines }, signal));
    });
    return whole(BatchCutOrdersResponseSchema, { outcomes });
  }

  /** Decides what becomes of many amendments, each with its own outcome. */
  async batchDecideAmendments(batch: BatchDecideAmendmentsRequest, { signal }: HandlerContext) {
    const outcomes = await answerEach(batch, amendment, async (request) => {
      const revision = await this.#options.amendments.decide(toAmendmentDecision(request), signal);
      return whole(DecideAmendmentResponseSchema, { revision });
    });
    return whole(BatchDecideAmendmentsResponseSchema, { outcomes });
  }

  /** Decides what becomes of many exchanges, each with its own outcome. */
  async batchDecideExchanges(batch: BatchDecideExchangesRequest) {
    const outcomes = await answerEach(batch, exchange, async ({ orderId, returnId, credits, failure }) => {
      const made = await this.#options.exchanges.decide({ orderId, returnId, credits, failure });
      return whole(DecideExchangeResponseSchema, { made });
    });
    return whole(BatchDecideExchangesResponseSchema, { outcomes });
  }

  /** Notes what an operator asks for, once however often the call is repeated. */
  async noteStepDecision(request: NoteStepDecisionRequest) {
    const { requestId, orderId, step, note } = request;
    const decision = request.decision === StepDecision.RETRY ? "retry" : "resolve";
    const known = fingerprint(NoteStepDecisionRequestSchema, request);
    await this.#options.decisions.remember({ requestId, orderId, step, decision, note, fingerprint: known });
    return whole(NoteStepDecisionResponseSchema, {});
  }

  /** Moves many orders to their next status, each with its own outcome. */
  async batchTransitionOrders(batch: BatchTransitionOrdersRequest, { signal }: HandlerContext) {
    const outcomes = await answerEach(batch, transition, async (request) => {
      const { status, revision } = await this.#options.mover.move(toMove(request), signal);
      return whole(TransitionOrderResponseSchema, { status: toStatusProto(status), revision });
    });
    return whole(BatchTransitionOrdersResponseSchema, { outcomes });
  }
}

function toFatedParcel({ orderId, locationId, fate }: ResolveParcelRequest): FatedParcel {
  const known = fates.get(fate);
  if (!known) throw new RangeError(`${fate} is nothing that becomes of a parcel`);
  return { orderId, locationId, fate: known };
}
