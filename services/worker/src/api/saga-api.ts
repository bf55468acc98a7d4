import { durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type BatchGetEpisodesRequest,
  BatchGetEpisodesResponseSchema,
  type CancelOrderSagaRequest,
  CancelOrderSagaResponseSchema,
  type GetSagaRequest,
  GetSagaResponseSchema,
  type ListParkedStepsRequest,
  ListParkedStepsResponseSchema,
  type ResolveParkedStepRequest,
  ResolveParkedStepResponseSchema,
  type ResolveParkedStepsRequest,
  ResolveParkedStepsResponseSchema,
  type RetryParkedStepRequest,
  RetryParkedStepResponseSchema,
  type RetryParkedStepsRequest,
  RetryParkedStepsResponseSchema,
  type SagaService,
  type StartEpisodeRequest,
  StartEpisodeResponseSchema,
  type StartOrderSagaRequest,
  StartOrderSagaResponseSchema,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { withSubject } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import { defaultPageSize, type Json, type PageTokens } from "#platform/page-token.ts";
import { whole } from "#platform/whole.ts";
import type { SagaMetrics } from "../activities/metrics.ts";
import { toCarriedOrder } from "./episode-proto.ts";
import type { Episodes } from "./episodes.ts";
import type { ParkedFilter } from "./order-rows.ts";
import { ParkedDecisions } from "./parked-decisions.ts";
import { ParkedSteps, type ParkedStepsOptions, toParkedFilter } from "./parked-steps.ts";
import { toSaga, toSagaOrder } from "./saga-proto.ts";

/** What the gRPC face of the sagas works with. */
export interface SagaApiOptions extends ParkedStepsOptions {
  readonly episodes: Episodes;
  readonly pageTokens: PageTokens;
  readonly metrics: Pick<SagaMetrics, "orders">;
  readonly logger: Pick<Logger, "info">;
}

/** The gRPC face of the sagas. */
export class SagaApi implements ServiceImpl<typeof SagaService> {
  readonly #options: SagaApiOptions;
  readonly #parked: ParkedSteps;
  readonly #decisions: ParkedDecisions;

  constructor(options: SagaApiOptions) {
    this.#options = options;
    this.#parked = new ParkedSteps(options);
    this.#decisions = new ParkedDecisions({ ...options, steps: this.#parked });
  }

  /** Starts one workflow that carries the orders to where they rest next. */
  async startEpisode({ episodeId, orders }: StartEpisodeRequest) {
    const { episodes, metrics } = this.#options;
    const carried = orders.map(toCarriedOrder);
    const started = await withSubject({ "saga.id": episodeId }, () => episodes.start(episodeId, carried));
    const begun = carried.filter(({ saga }) => saga === undefined).length;
    if (started && begun > 0) metrics.orders.inc({ stage: "CHECKOUT" }, begun);
    return whole(StartEpisodeResponseSchema, { started });
  }

  /** Says which workflows still run, and what their code failed with. */
  async batchGetEpisodes({ episodeIds }: BatchGetEpisodesRequest) {
    const looks = await this.#options.episodes.look(episodeIds);
    return whole(BatchGetEpisodesResponseSchema, {
      states: looks.map(({ state }) => state),
      faults: looks.flatMap(({ episodeId, faults }) => faults.map((fault) => ({ episodeId, ...fault }))),
    });
  }

  /** Starts one workflow of the kind before episodes for the orders. */
  async startOrderSaga({ sagaId, orders }: StartOrderSagaRequest) {
    const { legacy, metrics } = this.#options;
    const started = await withSubject({ "saga.id": sagaId }, () => legacy.start(sagaId, orders.map(toSagaOrder)));
    if (started) metrics.orders.inc({ stage: "CHECKOUT" }, orders.length);
    return whole(StartOrderSagaResponseSchema, { started });
  }

  /** Says how far an order has come. */
  async getSaga(request: GetSagaRequest) {
    const { rows, legacy } = this.#options;
    const settled = await rows.saga(request.orderId);
    if (settled) return whole(GetSagaResponseSchema, { saga: settled });
    const { sagaId, view } = await legacy.status(request);
    return whole(GetSagaResponseSchema, { saga: toSaga(sagaId, view) });
  }

  /** Has an order cancelled. */
  async cancelOrderSaga(request: CancelOrderSagaRequest) {
    const { episodes, legacy } = this.#options;
    const { sagaId, orderId, reason, requestId } = request;
    const taken = sagaId !== "" && (await episodes.cancel(sagaId, orderId, { reason, requestId }));
    if (!taken) await legacy.cancel(request, reason, requestId);
    return whole(CancelOrderSagaResponseSchema, {});
  }

  /** Lists the steps that wait for an operator: those that rows know, then those of workflows of the kind before. */
  async listParkedSteps({ pageSize, pageToken, filter: wanted }: ListParkedStepsRequest) {
    const { pageTokens } = this.#options;
    const filter = toParkedFilter(wanted);
    const opened = pageTokens.open(pageToken, tokenFilter(filter));
    const token = typeof opened === "string" ? opened : "";
    const page = { size: pageSize || defaultPageSize, token, parkedBefore: undefined };
    const { steps, next } = await this.#parked.page(filter, page);
    const nextPageToken = next === "" ? "" : pageTokens.seal(next, tokenFilter(filter));
    return whole(ListParkedStepsResponseSchema, { steps: steps.map(({ step }) => step), nextPageToken });
  }

  /** Has a parked step tried again. */
  async retryParkedStep(request: RetryParkedStepRequest) {
    const { requestId, note } = request;
    await this.#parked.decide(request, { requestId, resolve: false, note });
    return whole(RetryParkedStepResponseSchema, {});
  }

  /** Says that a parked step is done by other means. */
  async resolveParkedStep(request: ResolveParkedStepRequest) {
    const { requestId, note } = request;
    await this.#parked.decide(request, { requestId, resolve: true, note });
    return whole(ResolveParkedStepResponseSchema, {});
  }

  /** Has many parked steps tried again, and tells how far it is. */
  async *retryParkedSteps(request: RetryParkedStepsRequest, { signal }: HandlerContext) {
    for await (const progress of this.#decisions.decide(request, { resolve: false, signal })) {
      yield whole(RetryParkedStepsResponseSchema, { progress });
    }
  }

  /** Says that many parked steps are done by other means, and tells how far it is. */
  async *resolveParkedSteps(request: ResolveParkedStepsRequest, { signal }: HandlerContext) {
    for await (const progress of this.#decisions.decide(request, { resolve: true, signal })) {
      yield whole(ResolveParkedStepsResponseSchema, { progress });
    }
  }
}

/** Page tokens of a list open only there, and for the same filter. */
function tokenFilter({ step, reason, customerId, olderThan }: ParkedFilter): Json {
  const olderMs = olderThan ? durationMs(olderThan) : null;
  return ["shop.sagas.v1.SagaService/ListParkedSteps", step, reason, customerId, olderMs];
}
