import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type BatchDecideParkedStepsRequest,
  BatchDecideParkedStepsResponseSchema,
  type BatchReportReturnLabelsRequest,
  BatchReportReturnLabelsResponseSchema,
  type BatchReportShipmentsRequest,
  BatchReportShipmentsResponseSchema,
  type BatchReportStockRequest,
  BatchReportStockResponseSchema,
  type BatchSettleOrdersRequest,
  BatchSettleOrdersResponseSchema,
  type BeginParkedDecisionsRequest,
  type DecideParkedStepRequest,
  DecideParkedStepResponseSchema,
  type GetOrderSagaRequest,
  GetOrderSagaResponseSchema,
  type ListParkedOrdersRequest,
  ListParkedOrdersResponseSchema,
  type OrderEpisodeService,
  ReportReturnLabelResponseSchema,
  ReportShipmentResponseSchema,
  ReportStockResponseSchema,
  SettleOrderResponseSchema,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { answerEach } from "#platform/batch/batch-call.ts";
import { withSubject } from "#platform/context.ts";
import { isId } from "#platform/id.ts";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { whole } from "#platform/whole.ts";
import type { Admission } from "../episode/admission.ts";
import type { EpisodeRepository } from "../episode/episode.repository.ts";
import type { OrderSettler } from "../episode/order-settler.ts";
import type { ParkedFilter, ParkedOrders, ParkedPlace } from "../episode/parked-orders.repository.ts";
import type { ShipmentReports } from "../episode/shipment-reports.ts";
import type { StepDecisions } from "../episode/step-decisions.ts";
import type { StockReports } from "../episode/stock-reports.ts";
import { orderNotFound } from "../order/errors.ts";
import type { OrderReturns } from "../returns/order-returns.ts";
import {
  toBegunProto,
  toParkedDecision,
  toParkedFilter,
  toParkedProto,
  toSagaProto,
  toSettlement,
  toShipmentReport,
  toStepDecision,
} from "./order-episode-proto.ts";
import { toStatusProto } from "./order-proto.ts";

/** What the service works with. */
export interface OrderEpisodeApiOptions {
  readonly episodes: Pick<EpisodeRepository, "memory">;
  readonly settler: Pick<OrderSettler, "settle">;
  readonly reports: Pick<ShipmentReports, "report">;
  readonly stock: Pick<StockReports, "report">;
  readonly returns: Pick<OrderReturns, "takeLabel">;
  readonly parked: ParkedOrders;
  readonly decisions: Pick<StepDecisions, "decide">;
  readonly admission: Pick<Admission, "admit">;
  readonly pageTokens: PageTokens;
}

const subjectOf = ({ orderId }: { readonly orderId: string }) => ({ "order.id": orderId });
const settlement = { method: "SettleOrder", subjectOf };
const report = { method: "ReportShipment", subjectOf };
const labelReport = { method: "ReportReturnLabel", subjectOf };
const stockReport = { method: "ReportStock", subjectOf };
const decision = { method: "DecideParkedStep", subjectOf };

/** OrderEpisodeService, as its proto says. */
export class OrderEpisodeApi implements ServiceImpl<typeof OrderEpisodeService> {
  readonly #options: OrderEpisodeApiOptions;

  constructor(options: OrderEpisodeApiOptions) {
    this.#options = options;
  }

  /** Has many orders rest, each with its own outcome. */
  async batchSettleOrders(batch: BatchSettleOrdersRequest, { signal }: HandlerContext) {
    const outcomes = await answerEach(batch, settlement, async (request) => {
      const { status, revision } = await this.#options.settler.settle(toSettlement(request), signal);
      return whole(SettleOrderResponseSchema, { status: toStatusProto(status), revision });
    });
    return whole(BatchSettleOrdersResponseSchema, { outcomes });
  }

  /** Takes what became of many shipments, each with its own outcome. */
  async batchReportShipments(batch: BatchReportShipmentsRequest, { signal }: HandlerContext) {
    const outcomes = await answerEach(batch, report, async (request) => {
      await this.#options.reports.report(toShipmentReport(request), signal);
      return whole(ReportShipmentResponseSchema, {});
    });
    return whole(BatchReportShipmentsResponseSchema, { outcomes });
  }

  /** Takes what carriers say of the labels of many returns, each with its own outcome. */
  async batchReportReturnLabels(batch: BatchReportReturnLabelsRequest) {
    const outcomes = await answerEach(batch, labelReport, async (request) => {
      const { orderId, returnId, trackingNumber, label, reason: code } = request;
      await this.#options.returns.takeLabel({ orderId, returnId, trackingNumber, label, code });
      return whole(ReportReturnLabelResponseSchema, {});
    });
    return whole(BatchReportReturnLabelsResponseSchema, { outcomes });
  }

  /** Takes that stock is set aside for many orders, each with its own outcome. */
  async batchReportStock(batch: BatchReportStockRequest, { signal }: HandlerContext) {
    const outcomes = await answerEach(batch, stockReport, async ({ orderId }) => {
      await this.#options.stock.report(orderId, signal);
      return whole(ReportStockResponseSchema, {});
    });
    return whole(BatchReportStockResponseSchema, { outcomes });
  }

  /** Returns what an order remembers. */
  async getOrderSaga({ orderId }: GetOrderSagaRequest) {
    const memory = await this.#options.episodes.memory(orderId);
    if (!memory) throw orderNotFound(orderId);
    return whole(GetOrderSagaResponseSchema, { saga: toSagaProto(memory) });
  }

  /** Lists orders that wait for an operator, the longest waiting first. */
  async listParkedOrders(request: ListParkedOrdersRequest) {
    const { parked, pageTokens } = this.#options;
    const filter = toParkedFilter(request);
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: tokenFilter(filter),
      place: toPlace,
      read: (page) => parked.list(filter, page),
      cursorOf: ({ parkTime, orderId }) => [parkTime.getTime(), orderId],
    });
    return whole(ListParkedOrdersResponseSchema, { orders: items.map(toParkedProto), nextPageToken });
  }

  /** Takes an operator's decision about a parked step. */
  async decideParkedStep(request: DecideParkedStepRequest, { signal }: HandlerContext) {
    await withSubject(subjectOf(request), () => this.#options.decisions.decide(toStepDecision(request), signal));
    return whole(DecideParkedStepResponseSchema, {});
  }

  /** Takes an operator's decisions about many parked steps, each with its own outcome. */
  async batchDecideParkedSteps(batch: BatchDecideParkedStepsRequest, { signal }: HandlerContext) {
    this.#options.admission.admit();
    const outcomes = await answerEach(batch, decision, async (request) => {
      await this.#options.decisions.decide(toStepDecision(request), signal);
      return whole(DecideParkedStepResponseSchema, {});
    });
    return whole(BatchDecideParkedStepsResponseSchema, { outcomes });
  }

  /** Says which parked steps an operator's decision about many is about. */
  async beginParkedDecisions(request: BeginParkedDecisionsRequest) {
    return toBegunProto(await this.#options.parked.begin(toParkedDecision(request)));
  }
}

function toPlace(cursor: Json): ParkedPlace | undefined {
  if (!Array.isArray(cursor)) return undefined;
  const [time, orderId] = cursor;
  if (typeof time !== "number" || typeof orderId !== "string" || !isId(orderId)) return undefined;
  return { parkTime: new Date(time), orderId };
}

function tokenFilter({ step, reason, customerId, olderThanMs, parkedBefore }: ParkedFilter): Json {
  const times = [olderThanMs ?? null, parkedBefore?.getTime() ?? null];
  return ["ListParkedOrders", step ?? "", reason ?? "", customerId ?? "", ...times];
}
