import type { Client } from "@connectrpc/connect";
import {
  BatchReportShipmentsRequestSchema,
  type OrderEpisodeService,
  type ReportShipmentRequest,
  ReportShipmentRequestSchema,
  ShipmentNews,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { type Telling, tellEach } from "#platform/batch/tell-each.ts";
import type { Logger } from "#platform/log/logger.ts";
import { hideCardNumbers } from "#platform/redact/redact-text.ts";
import { whole } from "#platform/whole.ts";
import type { NewsOutcome } from "../shipment/metrics.ts";
import { resumeBatch } from "../shipment/resumed-batch.ts";
import type { News } from "../shipment/shipment.ts";
import type { OrderReportRepository, UntoldShipment } from "./order-report.repository.ts";
import { settleTold } from "./settle-told.ts";

/** What the reporting works with. */
export interface OrderReportOptions {
  readonly repository: Pick<OrderReportRepository, "claimDue" | "close" | "defer">;
  readonly orders: Client<typeof OrderEpisodeService>;
  /** Told what orders refuses, or fails for. */
  readonly log: Pick<Logger, "warn">;
  /** How long the calls of one sweep may take together, in milliseconds. */
  readonly timeoutMs: number;
  /** Told how the telling of each piece of news ended. */
  readonly onOutcome?: (news: News, outcome: NewsOutcome) => void;
}

const batchSize = 256;

const kinds: Readonly<Record<News, ShipmentNews>> = {
  packed: ShipmentNews.PACKED,
  packing_failed: ShipmentNews.PACKING_FAILED,
  booked: ShipmentNews.BOOKED,
  booking_refused: ShipmentNews.BOOKING_REFUSED,
  delivered: ShipmentNews.DELIVERED,
  lost: ShipmentNews.LOST,
  returned: ShipmentNews.RETURNED,
  cancelled: ShipmentNews.CANCELLED,
  turning_back: ShipmentNews.TURNING_BACK,
  turn_back_refused: ShipmentNews.TURN_BACK_REFUSED,
};

/** One shipment, and its `traceparent`. */
interface Told {
  readonly shipment: UntoldShipment;
  readonly traceparent: string;
}

/** Tells orders what becomes of the shipments that are reported to it, until it has taken it. */
export class OrderReport {
  readonly #options: OrderReportOptions;

  constructor(options: OrderReportOptions) {
    this.#options = options;
  }

  /**
   * Tells what is due; returns how much was taken or refused. The news of one shipment is told in its order, one at a time;
   * orders takes what it hears twice once. What orders refuses is put aside. A batch for which orders fails is halved until
   * the report that is the cause is alone: that one is put off, the others go on.
   *
   * @throws when orders is away, after all were put off
   */
  async sweep(signal: AbortSignal): Promise<number> {
    const { repository, timeoutMs } = this.#options;
    const shipments = await repository.claimDue(2 * timeoutMs, batchSize);
    if (shipments.length === 0) return 0;
    const batch = { name: "report shipment", shipments, attributesOf };
    const answers = await resumeBatch<Telling, UntoldShipment>(
      batch,
      async (traceparents) => {
        const told = shipments.map((shipment, index) => ({ shipment, traceparent: traceparents[index] ?? "" }));
        const answers = await this.#tell(told, signal);
        await this.#settle(shipments, answers);
        return answers;
      },
      outcomeOf,
    );
    return answers.filter(({ kind }) => kind !== "failed").length;
  }

  #tell(told: readonly Told[], within: AbortSignal): Promise<Telling[]> {
    const { orders, timeoutMs } = this.#options;
    const signal = AbortSignal.any([within, AbortSignal.timeout(timeoutMs)]);
    const tell = (some: readonly Told[]) => orders.batchReportShipments(toRequest(some), { signal, timeoutMs });
    return tellEach(told, { whom: "orders", tell });
  }

  async #settle(shipments: readonly UntoldShipment[], answers: readonly Telling[]): Promise<void> {
    const { repository, onOutcome, log } = this.#options;
    await settleTold(shipments, answers, {
      what: "the news of a shipment",
      fieldsOf: ({ shipmentId, orderId, news }) => ({
        "shipment.id": shipmentId,
        "order.id": orderId,
        "shipment.news": news,
      }),
      log,
      close: (closed) => repository.close(closed.map(({ entry: shipment, refusal }) => ({ shipment, refusal }))),
      defer: (deferred) => repository.defer(deferred),
      onOutcome: ({ news }, outcome) => onOutcome?.(news, outcome),
    });
  }
}

function toRequest(told: readonly Told[]) {
  const isTraced = told.some(({ traceparent }) => traceparent !== "");
  return whole(BatchReportShipmentsRequestSchema, {
    requests: told.map(({ shipment }) => toReport(shipment)),
    traceparents: isTraced ? told.map(({ traceparent }) => traceparent) : [],
  });
}

function toReport(shipment: UntoldShipment): ReportShipmentRequest {
  const { orderId, locationId, generation, news, trackingNumber, failure } = shipment;
  return whole(ReportShipmentRequestSchema, {
    orderId,
    locationId,
    generation,
    news: kinds[news],
    trackingNumber,
    reason: upperSnake(failure?.code ?? ""),
  });
}

const otherThanSnake = /[^A-Z0-9]+/g;

/** Their codes are theirs; the contract wants upper snake case of at most 64 characters, and no card number in it. */
export function upperSnake(code: string): string {
  const snake = code.toUpperCase().replace(otherThanSnake, "_");
  return hideCardNumbers(snake).toUpperCase().replace(otherThanSnake, "_").slice(0, 64);
}

function attributesOf({ news, status }: UntoldShipment) {
  return { "shipment.news": news, "shipment.status": status };
}

function outcomeOf(answer: Telling | undefined): string {
  const outcomes: Readonly<Record<Telling["kind"], string>> = { told: "done", refused: "refused", failed: "pending" };
  return answer ? outcomes[answer.kind] : "pending";
}
