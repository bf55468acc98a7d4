import type { Client } from "@connectrpc/connect";
import {
  BatchReportReturnLabelsRequestSchema,
  type OrderEpisodeService,
  ReportReturnLabelRequestSchema,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { type Telling, tellEach } from "#platform/batch/tell-each.ts";
import type { Logger } from "#platform/log/logger.ts";
import { whole } from "#platform/whole.ts";
import type { CarrierRequestRepository, UntoldRequest } from "../request/carrier-request.repository.ts";
import { upperSnake } from "./order-report.ts";

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
    const { repository, orders, timeoutMs } = this.#options;
    const requests = await repository.claimNews("label", 2 * timeoutMs, batchSize);
    if (requests.length === 0) return 0;
    const signal = AbortSignal.any([within, AbortSignal.timeout(timeoutMs)]);
    const tell = (some: readonly UntoldRequest[]) =>
      orders.batchReportReturnLabels(toRequest(some), { signal, timeoutMs });
    const answers = await tellEach(requests, { whom: "orders", tell });
    const failed = requests.filter((_, index) => answers[index]?.kind === "failed");
    const closed = requests.filter((request) => !failed.includes(request));
    await repository.closeNews(closed.map(({ key }) => key));
    await repository.deferNews(failed.map(({ key }) => key));
    for (const [index, request] of requests.entries()) this.#log(request, answers[index]);
    const away = answers.find((answer) => answer.kind === "failed" && answer.away);
    if (away?.kind === "failed" && closed.length === 0) throw away.error;
    return closed.length;
  }

  #log({ shipment: { orderId } }: UntoldRequest, answer: Telling | undefined): void {
    const fields = { "order.id": orderId };
    if (answer?.kind === "refused") {
      this.#options.log.warn("orders refuses the label of a return, which is put aside", {
        ...fields,
        "error.type": answer.reason,
      });
    } else if (answer?.kind === "failed" && !answer.away) {
      this.#options.log.warn("orders fails for the label of a return and is told again", {
        ...fields,
        err: answer.error,
      });
    }
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
