import type { Client } from "@connectrpc/connect";
import {
  BatchReportReturnLabelsRequestSchema,
  type OrderEpisodeService,
  ReportReturnLabelRequestSchema,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { tellEach } from "#platform/batch/tell-each.ts";
import type { Logger } from "#platform/log/logger.ts";
import { whole } from "#platform/whole.ts";
import type { CarrierRequestRepository, UntoldRequest } from "../request/carrier-request.repository.ts";
import { upperSnake } from "./order-report.ts";
import { settleTold } from "./settle-told.ts";

/** What the telling of labels works with. */
export interface LabelReportOptions {
  readonly repository: Pick<CarrierRequestRepository, "claimNews" | "closeNews" | "deferNews">;
  readonly orders: Pick<Client<typeof OrderEpisodeService>, "batchReportReturnLabels">;
  /** Told what orders refuses, or fails for. */
  readonly log: Pick<Logger, "warn">;
  /** How long the calls of one sweep may take together, in milliseconds. */
  readonly timeoutMs: number;
}

const batchSize = 256;

/** Tells orders what carriers say of the labels of returns, until it has taken it. */
export class LabelReport {
  readonly #options: LabelReportOptions;

  constructor(options: LabelReportOptions) {
    this.#options = options;
  }

  /**
   * Tells what is due; returns how much was taken or refused. What orders refuses is put aside, what it fails for is told again.
   *
   * @throws when orders is away, after all were put off
   */
  async sweep(within: AbortSignal): Promise<number> {
    const { repository, orders, log, timeoutMs } = this.#options;
    const requests = await repository.claimNews("label", 2 * timeoutMs, batchSize);
    if (requests.length === 0) return 0;
    const signal = AbortSignal.any([within, AbortSignal.timeout(timeoutMs)]);
    const tell = (some: readonly UntoldRequest[]) =>
      orders.batchReportReturnLabels(toRequest(some), { signal, timeoutMs });
    const answers = await tellEach(requests, { whom: "orders", tell });
    return await settleTold(requests, answers, {
      what: "the label of a return",
      fieldsOf: ({ shipment: { orderId } }) => ({ "order.id": orderId }),
      log,
      close: (closed) => repository.closeNews(closed.map(({ entry }) => entry.key)),
      defer: (deferred) => repository.deferNews(deferred.map(({ key }) => key)),
    });
  }
}

function toRequest(requests: readonly UntoldRequest[]) {
  return whole(BatchReportReturnLabelsRequestSchema, {
    requests: requests.map(({ key, shipment, trackingNumber, label, code }) =>
      whole(ReportReturnLabelRequestSchema, {
        orderId: shipment.orderId,
        returnId: key,
        trackingNumber,
        label,
        reason: upperSnake(code),
      }),
    ),
    traceparents: [],
  });
}
