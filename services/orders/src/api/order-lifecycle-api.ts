import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type BatchTransitionOrdersRequest,
  BatchTransitionOrdersResponseSchema,
  type NoteStepDecisionRequest,
  NoteStepDecisionRequestSchema,
  NoteStepDecisionResponseSchema,
  type OrderLifecycleService,
  StepDecision,
  type TransitionOrderRequest,
  TransitionOrderResponseSchema,
} from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { answerEach } from "#platform/batch/batch-call.ts";
import { fingerprint } from "#platform/database/idempotency.ts";
import { whole } from "#platform/whole.ts";
import type { AuditedRequests } from "../order/audited-requests.repository.ts";
import type { StepDecisionRequest } from "../order/order-audit.ts";
import type { OrderMover } from "../order/order-mover.ts";
import { toMove, toStatusProto } from "./order-proto.ts";

const transition = {
  method: "TransitionOrder",
  subjectOf: ({ orderId }: TransitionOrderRequest) => ({ "order.id": orderId }),
};

/** OrderLifecycleService, as its proto says. */
export class OrderLifecycleApi implements ServiceImpl<typeof OrderLifecycleService> {
  readonly #mover: OrderMover;
  readonly #decisions: AuditedRequests<StepDecisionRequest>;

  constructor(mover: OrderMover, decisions: AuditedRequests<StepDecisionRequest>) {
    this.#mover = mover;
    this.#decisions = decisions;
  }

  /** Notes what an operator asks for, once however often the call is repeated. */
  async noteStepDecision(request: NoteStepDecisionRequest) {
    const { requestId, orderId, step, note } = request;
    const decision = request.decision === StepDecision.RETRY ? "retry" : "resolve";
    const known = fingerprint(NoteStepDecisionRequestSchema, request);
    await this.#decisions.remember({ requestId, orderId, step, decision, note, fingerprint: known });
    return whole(NoteStepDecisionResponseSchema, {});
  }

  /** Moves many orders to their next status, each with its own outcome. */
  async batchTransitionOrders(batch: BatchTransitionOrdersRequest, { signal }: HandlerContext) {
    const outcomes = await answerEach(batch, transition, async (request) => {
      const { status, revision } = await this.#mover.move(toMove(request), signal);
      return whole(TransitionOrderResponseSchema, { status: toStatusProto(status), revision });
    });
    return whole(BatchTransitionOrdersResponseSchema, { outcomes });
  }
}
