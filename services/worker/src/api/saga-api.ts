import type { Client, ServiceImpl } from "@connectrpc/connect";
import {
  NoteStepDecisionRequestSchema,
  type OrderLifecycleService,
  StepDecision,
} from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
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
  type RetryParkedStepRequest,
  RetryParkedStepResponseSchema,
  type SagaService,
  type StartEpisodeRequest,
  StartEpisodeResponseSchema,
  type StartOrderSagaRequest,
  StartOrderSagaResponseSchema,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { withSubject } from "#platform/context.ts";
import { defaultPageSize, type PageTokens } from "#platform/page-token.ts";
import { inParallel } from "#platform/parallel.ts";
import { whole } from "#platform/whole.ts";
import type { SagaMetrics } from "../activities/metrics.ts";
import { toCarriedOrder } from "./episode-proto.ts";
import type { Episodes } from "./episodes.ts";
import type { LegacySagas } from "./legacy-sagas.ts";
import type { OrderRows } from "./order-rows.ts";
import { toParkedStep, toSaga, toSagaOrder } from "./saga-proto.ts";

/** Workflows that are asked at the same time for their parked steps. */
const queriesAtOnce = 8;
/** What the tokens of pages of rows begin with; those of workflows are base64, which has no colon. */
const rowCursor = "row:";
/** Page tokens of this method open only here. */
const parkedFilter = { method: "shop.sagas.v1.SagaService/ListParkedSteps" };

/** What the gRPC face of the sagas works with. */
export interface SagaApiOptions {
  readonly episodes: Episodes;
  readonly rows: OrderRows;
  readonly legacy: LegacySagas;
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
  async listParkedSteps({ pageSize, pageToken }: ListParkedStepsRequest) {
    const { rows, pageTokens } = this.#options;
    const size = pageSize || defaultPageSize;
    const opened = pageTokens.open(pageToken, parkedFilter);
    const cursor = typeof opened === "string" ? opened : "";
    const seal = (next: string) => (next === "" ? "" : pageTokens.seal(next, parkedFilter));
    if (cursor !== "" && !cursor.startsWith(rowCursor)) {
      const page = await this.#legacyParked(size, cursor);
      return whole(ListParkedStepsResponseSchema, { steps: page.steps, nextPageToken: seal(page.next) });
    }
    const known = await rows.parked(size, cursor.slice(rowCursor.length));
    if (known.nextPageToken !== "") {
      const nextPageToken = seal(`${rowCursor}${known.nextPageToken}`);
      return whole(ListParkedStepsResponseSchema, { steps: known.steps, nextPageToken });
    }
    const page = await this.#legacyParked(size, "");
    const steps = [...known.steps, ...page.steps];
    return whole(ListParkedStepsResponseSchema, { steps, nextPageToken: seal(page.next) });
  }

  /** A page of workflows that have parked steps. Its place is Temporal's to say: a token of its own, in base64. */
  async #legacyParked(pageSize: number, cursor: string) {
    const { legacy } = this.#options;
    const page = await legacy.parked(pageSize, Buffer.from(cursor, "base64"));
    const steps = await inParallel(page.sagaIds, queriesAtOnce, async (sagaId) =>
      (await legacy.parkedSteps(sagaId)).map((view) => toParkedStep(sagaId, view)),
    );
    return { steps: steps.flat(), next: page.nextPageToken.toString("base64") };
  }

  /** Has a parked step tried again. */
  async retryParkedStep(request: RetryParkedStepRequest) {
    const { rows, legacy } = this.#options;
    const { requestId, orderId, step } = request;
    if (await rows.isLegacy(orderId)) {
      await this.#note(request, StepDecision.RETRY);
      await legacy.retry(request, step, requestId);
    } else await rows.decide({ requestId, orderId, step });
    return whole(RetryParkedStepResponseSchema, {});
  }

  /** Says that a parked step is done by other means. */
  async resolveParkedStep(request: ResolveParkedStepRequest) {
    const { rows, legacy } = this.#options;
    const { requestId, orderId, step, note } = request;
    if (await rows.isLegacy(orderId)) {
      await this.#note(request, StepDecision.RESOLVE);
      await legacy.resolve(request, step, request);
    } else await rows.decide({ requestId, orderId, step, note });
    return whole(ResolveParkedStepResponseSchema, {});
  }

  async #note(request: RetryParkedStepRequest | ResolveParkedStepRequest, decision: StepDecision): Promise<void> {
    const { requestId, orderId, step } = request;
    const note = whole(NoteStepDecisionRequestSchema, { requestId, orderId, step, decision });
    await this.#options.audit.noteStepDecision(note);
  }
}
