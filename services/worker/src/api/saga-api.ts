import type { Client, ServiceImpl } from "@connectrpc/connect";
import { type OrderLifecycleService, StepDecision } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import type {
  ResolveParkedStepRequest,
  RetryParkedStepRequest,
  SagaService,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { withSubject } from "#platform/context.ts";
import type { PageTokens } from "#platform/page-token.ts";
import type { SagaMetrics } from "../activities/metrics.ts";
import { inParallel } from "./parallel.ts";
import { toParkedStep, toSaga, toSagaOrder } from "./saga-proto.ts";
import type { Sagas } from "./sagas.ts";

/** Workflows of a page unless the caller says otherwise. */
const defaultPageSize = 50;
/** Workflows that are asked at the same time for their parked steps. */
const queriesAtOnce = 8;
/** Page tokens of this method open only here. */
const parkedFilter = { method: "shop.sagas.v1.SagaService/ListParkedSteps" };

/** What the gRPC face of the sagas works with. */
export interface SagaServiceOptions {
  readonly sagas: Sagas;
  readonly pageTokens: PageTokens;
  readonly metrics: Pick<SagaMetrics, "orders">;
  /** Keeps the audit log of orders. */
  readonly audit: Pick<Client<typeof OrderLifecycleService>, "noteStepDecision">;
}

/** The gRPC face of the sagas. */
export function createSagaService(options: SagaServiceOptions): ServiceImpl<typeof SagaService> {
  const { sagas, pageTokens, audit } = options;
  const { orders: entered } = options.metrics;
  const note = (
    { requestId, orderId, step }: RetryParkedStepRequest | ResolveParkedStepRequest,
    decision: StepDecision,
  ) => audit.noteStepDecision({ requestId, orderId, step, decision });
  return {
    async startOrderSaga({ sagaId, orders }) {
      const started = await withSubject({ "saga.id": sagaId }, () => sagas.start(sagaId, orders.map(toSagaOrder)));
      if (started) entered.inc({ stage: "CHECKOUT" }, orders.length);
      return { started };
    },
    async getSaga(request) {
      const { sagaId, view } = await sagas.status(request);
      return { saga: toSaga(sagaId, view) };
    },
    async cancelOrderSaga(request) {
      await sagas.cancel(request, request.reason, request.requestId);
      return {};
    },
    async listParkedSteps({ pageSize, pageToken }) {
      const cursor = pageTokens.open(pageToken, parkedFilter);
      const from = Buffer.from(typeof cursor === "string" ? cursor : "", "base64");
      const page = await sagas.parked(pageSize || defaultPageSize, from);
      const steps = await inParallel(page.sagaIds, queriesAtOnce, async (sagaId) =>
        (await sagas.parkedSteps(sagaId)).map((view) => toParkedStep(sagaId, view)),
      );
      const more = page.nextPageToken.length > 0;
      const nextPageToken = more ? pageTokens.seal(page.nextPageToken.toString("base64"), parkedFilter) : "";
      return { steps: steps.flat(), nextPageToken };
    },
    async retryParkedStep(request) {
      await note(request, StepDecision.RETRY);
      await sagas.retry(request, request.step, request.requestId);
      return {};
    },
    async resolveParkedStep(request) {
      await note(request, StepDecision.RESOLVE);
      await sagas.resolve(request, request.step, request);
      return {};
    },
  };
}
