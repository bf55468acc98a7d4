import type { Client, ServiceImpl } from "@connectrpc/connect";
import {
  NoteStepDecisionRequestSchema,
  type OrderLifecycleService,
  StepDecision,
} from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import {
  type CancelOrderSagaRequest,
  CancelOrderSagaResponseSchema,
  type GetSagaRequest,
  GetSagaResponseSchema,
  type ListParkedStepsRequest,
  ListParkedStepsResponseSchema,
  type ResolveParkedStepRequest,
  ResolveParkedStepResponseSchema,
  type RetryParkedStepRequest,
  RetryParkedStepResponseSchema,
  type SagaService,
  type StartOrderSagaRequest,
  StartOrderSagaResponseSchema,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { withSubject } from "#platform/context.ts";
import { defaultPageSize, type PageTokens } from "#platform/page-token.ts";
import { whole } from "#platform/whole.ts";
import type { SagaMetrics } from "../activities/metrics.ts";
import { inParallel } from "./parallel.ts";
import { toParkedStep, toSaga, toSagaOrder } from "./saga-proto.ts";
import type { Sagas } from "./sagas.ts";

/** Workflows that are asked at the same time for their parked steps. */
const queriesAtOnce = 8;
/** Page tokens of this method open only here. */
const parkedFilter = { method: "shop.sagas.v1.SagaService/ListParkedSteps" };

/** What the gRPC face of the sagas works with. */
export interface SagaApiOptions {
  readonly sagas: Sagas;
  readonly pageTokens: PageTokens;
  readonly metrics: Pick<SagaMetrics, "orders">;
  /** Keeps the audit log of orders. */
  readonly audit: Pick<Client<typeof OrderLifecycleService>, "noteStepDecision">;
}

/** The gRPC face of the sagas. */
export class SagaApi implements ServiceImpl<typeof SagaService> {
  readonly #options: SagaApiOptions;

  constructor(options: SagaApiOptions) {
    this.#options = options;
  }

  /** Starts one workflow for the orders. */
  async startOrderSaga({ sagaId, orders }: StartOrderSagaRequest) {
    const { sagas, metrics } = this.#options;
    const started = await withSubject({ "saga.id": sagaId }, () => sagas.start(sagaId, orders.map(toSagaOrder)));
    if (started) metrics.orders.inc({ stage: "CHECKOUT" }, orders.length);
    return whole(StartOrderSagaResponseSchema, { started });
  }

  /** Says how far an order has come. */
  async getSaga(request: GetSagaRequest) {
    const { sagaId, view } = await this.#options.sagas.status(request);
    return whole(GetSagaResponseSchema, { saga: toSaga(sagaId, view) });
  }

  /** Has an order cancelled. */
  async cancelOrderSaga(request: CancelOrderSagaRequest) {
    await this.#options.sagas.cancel(request, request.reason, request.requestId);
    return whole(CancelOrderSagaResponseSchema, {});
  }

  /** Lists the steps that wait for an operator, a page of workflows at a time. */
  async listParkedSteps({ pageSize, pageToken }: ListParkedStepsRequest) {
    const { sagas, pageTokens } = this.#options;
    // The place in the list is Temporal's to say: a token of its own within ours.
    const cursor = pageTokens.open(pageToken, parkedFilter);
    const from = Buffer.from(typeof cursor === "string" ? cursor : "", "base64");
    const page = await sagas.parked(pageSize || defaultPageSize, from);
    const steps = await inParallel(page.sagaIds, queriesAtOnce, async (sagaId) =>
      (await sagas.parkedSteps(sagaId)).map((view) => toParkedStep(sagaId, view)),
    );
    const more = page.nextPageToken.length > 0;
    const nextPageToken = more ? pageTokens.seal(page.nextPageToken.toString("base64"), parkedFilter) : "";
    return whole(ListParkedStepsResponseSchema, { steps: steps.flat(), nextPageToken });
  }

  /** Has a parked step tried again. */
  async retryParkedStep(request: RetryParkedStepRequest) {
    await this.#note(request, StepDecision.RETRY);
    await this.#options.sagas.retry(request, request.step, request.requestId);
    return whole(RetryParkedStepResponseSchema, {});
  }

  /** Says that a parked step is done by other means. */
  async resolveParkedStep(request: ResolveParkedStepRequest) {
    await this.#note(request, StepDecision.RESOLVE);
    await this.#options.sagas.resolve(request, request.step, request);
    return whole(ResolveParkedStepResponseSchema, {});
  }

  async #note(request: RetryParkedStepRequest | ResolveParkedStepRequest, decision: StepDecision): Promise<void> {
    const { requestId, orderId, step } = request;
    const note = whole(NoteStepDecisionRequestSchema, { requestId, orderId, step, decision });
    await this.#options.audit.noteStepDecision(note);
  }
}
